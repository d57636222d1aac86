#include "xxh64.h"

#include <string.h>

#define P1 11400714785074694791ULL
#define P2 14029467366897019727ULL
#define P3 1609587929392839161ULL
#define P4 9650029242287828579ULL
#define P5 2870177450012600261ULL

static uint64_t rotl(uint64_t x, int r) { return (x << r) | (x >> (64 - r)); }
static uint64_t round1(uint64_t lane, uint64_t word) { return rotl(lane + word * P2, 31) * P1; }
static uint64_t read64(const unsigned char *p) { uint64_t x; memcpy(&x, p, 8); return x; }
static uint32_t read32(const unsigned char *p) { uint32_t x; memcpy(&x, p, 4); return x; }

static void stripe(uint64_t lane[4], const unsigned char *p)
{
    for (int i = 0; i < 4; i++)
        lane[i] = round1(lane[i], read64(p + 8 * i));
}

void xxh64_begin(struct xxh64 *s)
{
    memset(s, 0, sizeof *s);
    s->lane[0] = P1 + P2;
    s->lane[1] = P2;
    s->lane[3] = 0 - P1;
}

void xxh64_add(struct xxh64 *s, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    s->total += bytes;
    if (s->rest_bytes) {
        size_t take = 32 - s->rest_bytes < bytes ? 32 - s->rest_bytes : bytes;
        memcpy(s->rest + s->rest_bytes, p, take);
        s->rest_bytes += take, p += take, bytes -= take;
        if (s->rest_bytes < 32)
            return;
        stripe(s->lane, s->rest);
        s->rest_bytes = 0;
    }
    for (; bytes >= 32; p += 32, bytes -= 32)
        stripe(s->lane, p);
    memcpy(s->rest, p, bytes);
    s->rest_bytes = bytes;
}

uint64_t xxh64_end(const struct xxh64 *s)
{
    uint64_t h = s->lane[2] + P5;
    if (s->total >= 32) {
        h = rotl(s->lane[0], 1) + rotl(s->lane[1], 7) + rotl(s->lane[2], 12) + rotl(s->lane[3], 18);
        for (int i = 0; i < 4; i++)
            h = (h ^ round1(0, s->lane[i])) * P1 + P4;
    }
    h += s->total;
    const unsigned char *p = s->rest;
    size_t left = s->rest_bytes;
    for (; left >= 8; p += 8, left -= 8)
        h = rotl(h ^ round1(0, read64(p)), 27) * P1 + P4;
    for (; left >= 4; p += 4, left -= 4)
        h = rotl(h ^ read32(p) * P1, 23) * P2 + P3;
    for (; left; p++, left--)
        h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ (h >> 33)) * P2;
    h = (h ^ (h >> 29)) * P3;
    return h ^ (h >> 32);
}

uint64_t xxh64(const void *data, size_t bytes)
{
    struct xxh64 s;
    xxh64_begin(&s);
    xxh64_add(&s, data, bytes);
    return xxh64_end(&s);
}
