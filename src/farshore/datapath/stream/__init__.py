"""The stream: sealed segments to the other site, in order, acknowledged once durable, resumed after a break.

`messages` is what both ends say; `sender` takes segments from the window, seals them and sends them; `receiver` hands
them to the journal and acknowledges. The window holds what was not acknowledged; the spool on disk will stand between
window and sender.
"""
