"""The journal carrier: the process that keeps one VPG's journal on the recovery site.

What enters: TLS connections of the sender (accepted by the watcher, handed over as descriptors), calls of the watcher.
What leaves: acknowledgements, answers. It may be killed at any time: all that it acknowledged is in the journal's
files. When the watcher is gone (its control connection ends) it finishes the write in hand and ends.
"""
