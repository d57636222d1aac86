/* How the guests of a chain talk: each tells all others, again and again, how far its disks are (UDP broadcast).
   That only ever grows, so a message may be lost, doubled or late, and a guest may be late or start again. */
#ifndef NETWORK_H
#define NETWORK_H
#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

struct place {                  /* how far one VM is, as last heard */
    bool heard;
    unsigned char boot[BOOT_BYTES];
    uint64_t tops[DISKS_MAX];
};

struct network {
    int socket;
    unsigned long long told, taken_in; /* messages sent and received, the own broadcasts that come back included */
    const struct settings *settings;
    struct place places[VMS_MAX + 1]; /* by vm, from 1; the own one is kept by the caller */
};

void network_open(struct network *network, const struct settings *settings);

/* Tell all others the place of this VM. */
void network_announce(struct network *network, const uint64_t *tops);

/* Take in what arrives within `wait_ms` (0: what is there). Says `heard` of each boot id that is new. True: something came. */
bool network_listen(struct network *network, int wait_ms);

/* Say what went out and came in so far, by our count and by the kernel's. */
void network_say_state(const struct network *network);

#endif
