/* XXH64, the checksum of the test guest's records and random data (written from its specification). */
#ifndef XXH64_H
#define XXH64_H
#include <stddef.h>
#include <stdint.h>

struct xxh64 {
    uint64_t lane[4], total;
    unsigned char rest[32];
    size_t rest_bytes;
};

void xxh64_begin(struct xxh64 *state);
void xxh64_add(struct xxh64 *state, const void *data, size_t bytes);
uint64_t xxh64_end(const struct xxh64 *state);
uint64_t xxh64(const void *data, size_t bytes);

#endif
