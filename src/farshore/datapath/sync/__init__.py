"""Sync: reads live disks and puts what it read into the stream, at the place where each read began.

What enters: read-only NBD exports of the disks below the mirror, and which extents to read (all of the disk, or a
frozen dirty bitmap). What leaves: SYNC and SYNC_ZERO records, through the tap's reservations. Guarantee: applied in
stream order, what the guest wrote after a read began wins over what was read. Leaves to others: when a sync is
complete (the watcher drains, then lets the first marker be cut), and what the other site may forget.
"""
