#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "speech.h"
#include "xxh64.h"

#define EXT4_SUPERBLOCK 1024
#define CHUNK_BYTES (1 << 20)

/* Aligned for O_DIRECT; one process, one thread, so one of each is enough. */
static struct slot slot __attribute__((aligned(4096)));
static unsigned char chunk[CHUNK_BYTES] __attribute__((aligned(4096)));

static uint16_t word_at(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }

/* Files of an ext4 that kept count of errors it met. */
static int errors_counted(const char *device)
{
    char path[96];
    int count = -1;
    snprintf(path, sizeof path, "/sys/fs/ext4/%s/errors_count", strrchr(device, '/') + 1);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%d", &count) != 1)
            count = -1;
        fclose(file);
    }
    return count;
}

static bool open_ext4(struct disk *disk, const unsigned char *superblock)
{
    const char *letter = disk_letter(disk->number);
    char where[32], path[64];
    bool replay = superblock[0x60] & 4, had_errors = word_at(superblock + 0x3a) & 2;
    snprintf(where, sizeof where, "/disks/%s", letter);
    mkdir(where, 0755);
    if (mount(disk->device, where, "ext4", MS_NOATIME, "errors=remount-ro")) {
        say("mounted %s BROKEN %s", letter, strerror(errno));
        return false;
    }
    if (had_errors || errors_counted(disk->device) != 0) {
        say("mounted %s BROKEN ext4 has met errors", letter);
        return false;
    }
    say("mounted %s clean%s", letter, replay ? " journal=replayed" : "");
    snprintf(path, sizeof path, "%s/ring", where);
    disk->ring = open(path, O_RDWR);
    snprintf(path, sizeof path, "%s/random", where);
    disk->random = open(path, O_RDONLY);
    snprintf(path, sizeof path, "%s/files", where);
    disk->folder = open(path, O_RDONLY | O_DIRECTORY);
    return true;
}

bool disk_open(struct disk *disk, uint64_t number, const char *device)
{
    memset(disk, 0, sizeof *disk);
    disk->number = number;
    disk->folder = -1;
    snprintf(disk->device, sizeof disk->device, "%s", device);
    int raw = open(device, O_RDWR | O_DIRECT);
    if (raw < 0 || pread(raw, &slot, SLOT_BYTES, 0) != SLOT_BYTES) {
        say("opened %s BROKEN %s: %s", disk_letter(number), device, strerror(errno));
        return false;
    }
    const unsigned char *superblock = (unsigned char *)&slot + EXT4_SUPERBLOCK;
    disk->is_ext4 = memcmp(slot.magic, "FARHEAD1", 8) && word_at(superblock + 0x38) == 0xEF53;
    if (disk->is_ext4) {
        close(raw);
        if (!open_ext4(disk, superblock))
            return false;
    } else {
        disk->ring = disk->random = raw;
    }
    if (disk->ring < 0 || disk->random < 0 || (disk->is_ext4 && disk->folder < 0) ||
        pread(disk->ring, &slot, SLOT_BYTES, 0) != SLOT_BYTES) {
        say("opened %s BROKEN its ring cannot be read", disk_letter(number));
        return false;
    }
    memcpy(&disk->header, &slot, SLOT_BYTES);
    if (!header_is_whole(&disk->header, number)) {
        say("opened %s BROKEN no header of this disk", disk_letter(number));
        return false;
    }
    return true;
}

static const char *verify_random(struct disk *disk)
{
    struct xxh64 sum;
    xxh64_begin(&sum);
    for (uint64_t done = 0; done < disk->header.random_bytes;) {
        uint64_t want = disk->header.random_bytes - done;
        if (want > CHUNK_BYTES)
            want = CHUNK_BYTES;
        if (pread(disk->random, chunk, want, (off_t)(disk->header.random_offset + done)) != (ssize_t)want)
            return "the random data cannot be read";
        xxh64_add(&sum, chunk, want);
        done += want;
    }
    return xxh64_end(&sum) == disk->header.random_xxh64 ? NULL : "the random data have changed";
}

/* What slot `i` of a ring holds when the records 1 to `top` were written in order: 0 is none yet. */
static uint64_t wanted_in(uint64_t i, uint64_t top, uint64_t slots)
{
    uint64_t back = (top % slots + slots - i) % slots;
    return back < top ? top - back : 0;
}

static const char *verify_ring(struct disk *disk, unsigned char *ring)
{
    static char wrong[128];
    uint64_t slots = disk->header.slots;
    disk->top = 0;
    for (uint64_t i = 0; i < slots; i++) {
        const struct slot *s = (struct slot *)(ring + i * SLOT_BYTES);
        if (!memcmp(s->magic, "FARSHORE", 8) && s->number > disk->top)
            disk->top = s->number;
    }
    for (uint64_t i = 0; i < slots; i++) {
        const struct slot *s = (struct slot *)(ring + i * SLOT_BYTES);
        uint64_t wanted = wanted_in(i, disk->top, slots);
        bool right = wanted ? record_is_whole(s, wanted, disk->number) : slot_is_empty(s, i, disk->number);
        if (!right) {
            snprintf(wrong, sizeof wrong, "slot %llu has magic %.8s number %llu, wanted %s %llu, top %llu",
                     (unsigned long long)i, s->magic, (unsigned long long)s->number, wanted ? "record" : "empty",
                     (unsigned long long)(wanted ? wanted : i), (unsigned long long)disk->top);
            return wrong;
        }
    }
    return NULL;
}

const char *disk_verify(struct disk *disk)
{
    size_t bytes = disk->header.slots * SLOT_BYTES;
    unsigned char *ring = aligned_alloc(SLOT_BYTES, bytes);
    if (!ring)
        return "the guest has too little memory for the ring";
    const char *wrong = NULL;
    for (size_t done = 0; done < bytes && !wrong;) {
        ssize_t got = pread(disk->ring, ring + done, bytes - done, (off_t)(SLOT_BYTES + done));
        if (got <= 0)
            wrong = "the ring cannot be read";
        else
            done += (size_t)got;
    }
    if (!wrong)
        wrong = verify_ring(disk, ring);
    free(ring);
    if (!wrong && disk->is_ext4)
        wrong = files_verify(disk->folder, disk->top);
    return wrong ? wrong : verify_random(disk);
}

static void note_time(struct disk *disk, double since)
{
    double took = now() - since;
    if (took > disk->worst)
        disk->worst = took;
}

int disk_write(struct disk *disk, uint64_t number, const unsigned char boot[BOOT_BYTES])
{
    record_fill(&slot, number, disk->number, boot);
    double begun = now();
    ssize_t put = pwrite(disk->ring, &slot, SLOT_BYTES, (off_t)(SLOT_BYTES + number % disk->header.slots * SLOT_BYTES));
    if (put != SLOT_BYTES)
        return put < 0 ? errno : EIO;
    note_time(disk, begun);
    if (disk->is_ext4) {
        begun = now();
        if (fsync(disk->ring))
            return errno;
        note_time(disk, begun);
        if (number % FILE_EVERY == 0) {
            begun = now();
            int error = files_write(disk->folder, number);
            if (error)
                return error;
            note_time(disk, begun);
        }
    }
    disk->top = number;
    return 0;
}

void disk_close(struct disk *disk)
{
    char where[32];
    fsync(disk->ring);
    close(disk->ring);
    if (!disk->is_ext4)
        return;
    close(disk->random);
    close(disk->folder);
    snprintf(where, sizeof where, "/disks/%s", disk_letter(disk->number));
    if (umount(where))
        say("failed unmount %s %s", disk_letter(disk->number), strerror(errno));
}
