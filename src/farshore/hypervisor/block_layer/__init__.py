"""What QEMU's block layer does for every driver that is built on it: attach, detach, bitmaps, vouch, sync export."""
