#include "record.h"

#include <string.h>

#include "xxh64.h"

_Static_assert(sizeof(struct slot) == SLOT_BYTES && sizeof(struct header) == SLOT_BYTES, "a slot is 4096 bytes");

static uint64_t filler_word(uint64_t number, uint64_t disk, uint64_t i)
{
    return number * 0x9E3779B97F4A7C15ULL ^ (i + 1) * 0xBF58476D1CE4E5B9ULL ^ disk * 0x94D049BB133111EBULL;
}

void record_fill(struct slot *slot, uint64_t number, uint64_t disk, const unsigned char boot[BOOT_BYTES])
{
    memcpy(slot->magic, "FARSHORE", 8);
    slot->number = number;
    slot->disk = disk;
    memcpy(slot->boot, boot, BOOT_BYTES);
    for (int i = 0; i < 506; i++)
        slot->filler[i] = filler_word(number, disk, (uint64_t)i);
    slot->zero = 0;
    slot->checksum = (uint32_t)xxh64(slot, 4092);
}

bool record_is_whole(const struct slot *slot, uint64_t number, uint64_t disk)
{
    if (memcmp(slot->magic, "FARSHORE", 8) || slot->number != number || slot->disk != disk)
        return false;
    for (int i = 0; i < 506; i++)
        if (slot->filler[i] != filler_word(number, disk, (uint64_t)i))
            return false;
    return slot->zero == 0 && slot->checksum == (uint32_t)xxh64(slot, 4092);
}

bool slot_is_empty(const struct slot *slot, uint64_t number, uint64_t disk)
{
    return !memcmp(slot->magic, "FAREMPTY", 8) && slot->number == number && slot->disk == disk &&
           slot->checksum == (uint32_t)xxh64(slot, 4092);
}

bool header_is_whole(const struct header *header, uint64_t disk)
{
    return !memcmp(header->magic, "FARHEAD1", 8) && header->disk == disk && header->slots > 0 &&
           header->checksum == (uint32_t)xxh64(header, 4092);
}

const char *disk_letter(uint64_t disk)
{
    static char names[4][16];
    static int turn;
    char *p = names[turn++ & 3] + 15;
    *p = 0;
    for (disk++; disk; disk = (disk - 1) / 26)
        *--p = (char)('a' + (disk - 1) % 26);
    return p;
}
