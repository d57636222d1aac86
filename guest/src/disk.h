/* One disk of the guest: where its ring is, how far it got, how a record is written to it. */
#ifndef DISK_H
#define DISK_H
#include <stdbool.h>
#include <stdint.h>

#include "record.h"

struct disk {
    uint64_t number;            /* over all VMs: 0 is a */
    char device[32];            /* /dev/vda */
    bool is_ext4;
    int ring;                   /* the device itself (O_DIRECT), or the file /ring of its ext4 */
    int random;                 /* where the random data are: the same device, or the file /random */
    int folder;                 /* of the small files; -1 on a raw disk */
    struct header header;
    uint64_t top;               /* the last record that is on it */
    double worst;               /* the longest system call that wrote, in seconds, since it was last told */
};

/* Open disk `number` on `device`, mounting its ext4; says `mounted`. False, with a word said, when that fails. */
bool disk_open(struct disk *disk, uint64_t number, const char *device);

/* Read it all and find its top. NULL when it holds exactly what an unbroken row of records leaves, else what is wrong. */
const char *disk_verify(struct disk *disk);

/* Write record `number`, the one after `top`; on ext4 with fsync, and every 25th with a small file of its own.
   0 when it is acknowledged, else errno. */
int disk_write(struct disk *disk, uint64_t number, const unsigned char boot[BOOT_BYTES]);

void disk_close(struct disk *disk);

#endif
