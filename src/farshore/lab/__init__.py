"""The playground and the demo: two real sites on this machine, built on the product's own faces only.

`farshore lab` starts them, breaks them and takes them down again (commands.py says how, playground.py what); people,
the tests and foreign clients use the same lab. `farshore demo` (demo/) plays the story of a VPG on such a lab.
"""
