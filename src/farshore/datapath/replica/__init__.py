"""The replica: each volume's base image, a sparse raw file, brought forward by the oldest part of the journal.

What enters: segments from the journal's floor up to a target that the retention rules allow. What leaves: a base image
that has exactly the records up to the floor, and journal files that are no longer needed, deleted.

What else is here: `seed` (a journal that begins on old disks), `old_disks` and `image_locks` (nobody else writes those
meanwhile), `take_out` (a volume leaves the history, its base image as it was at a checkpoint).

Always true:
1. `base.json` says `promoting` before a byte of an image is touched, and `ordinal` only after fdatasync of the images.
2. Applying the same segments again gives the same image, so a promotion that was cut off is simply done again.
3. A segment whose payload does not match its checksum is never applied: all are read before the first is.

No asyncio, no service library. Leaves to others: which checkpoint may go (journal.retention), reading (view).
"""
