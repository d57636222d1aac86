"""The driver for VMs that are QEMU processes of our own: the embedded default."""
