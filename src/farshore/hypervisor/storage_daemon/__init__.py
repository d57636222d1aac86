"""A hypervisor without a guest: qemu-storage-daemon, whose disks are written through NBD. For tests, benchmarks and labs."""
