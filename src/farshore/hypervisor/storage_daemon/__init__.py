"""A hypervisor without a guest: qemu-storage-daemon, whose disks are written through NBD."""
