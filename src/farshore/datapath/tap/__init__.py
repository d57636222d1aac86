"""The tap: receives the guests' writes, in order, into segments in shared memory.

What enters: NBD writes of QEMU's mirror jobs, one connection a disk, all of one VPG and host; reservations of the
sync reader; marker and vouch orders of the watcher. What leaves: published segments in the window. Guarantees: a
write that was answered is in the stream before everything that was issued after the answer; a marker is cut only
while every disk is connected and none has hung up; no reply is ever held for lack of room (the stream breaks instead,
and the dirty bitmaps count); the process touches no file, and a kernel timer kills it when its loop hangs. Leaves to
others: whether a marker holds (the watcher's vouch), sealing and sending (stream), repair after a break (sync).

Work per write is parse and append, nothing else: the bytes on the wire are the record.
"""
