/* A record: what one slot of a disk's ring holds. Layout and filler are in docs of farshore.lab.record_layout too. */
#ifndef RECORD_H
#define RECORD_H
#include <stdbool.h>
#include <stdint.h>

#define SLOT_BYTES 4096
#define BOOT_BYTES 16

struct slot {
    char magic[8];              /* "FARSHORE": a record; "FAREMPTY": none was written here yet; "FARHEAD1": the header */
    uint64_t number;            /* of the record; of the slot while it is empty */
    uint64_t disk;              /* 0 is a, 1 is b, ... over all VMs */
    unsigned char boot[BOOT_BYTES]; /* of the guest that wrote it */
    uint64_t filler[506];       /* filler_word(number, disk, i) */
    uint32_t zero;
    uint32_t checksum;          /* the low half of XXH64 over the 4092 bytes before */
};

/* The first slot of a ring: where things are. The image maker writes it, the guest only reads it. */
struct header {
    char magic[8];
    uint64_t disk;
    uint64_t slots;             /* of the ring, which begins one slot after this one */
    uint64_t random_offset;     /* in the same device (raw disk) or in the file /random (ext4) */
    uint64_t random_bytes;
    uint64_t random_xxh64;
    unsigned char rest[4096 - 8 * 6 - 4];
    uint32_t checksum;
};

void record_fill(struct slot *slot, uint64_t number, uint64_t disk, const unsigned char boot[BOOT_BYTES]);
bool record_is_whole(const struct slot *slot, uint64_t number, uint64_t disk);
bool slot_is_empty(const struct slot *slot, uint64_t number, uint64_t disk);
bool header_is_whole(const struct header *header, uint64_t disk);

/* a, b, ..., z, aa, ab, ...: the name of a disk, in a buffer that the next four calls leave alone. */
const char *disk_letter(uint64_t disk);

#endif
