/* What the kernel's command line tells the guest: farshore.vm=1 farshore.vms=2 farshore.disks=2 farshore.mode=chain
   farshore.pause_ms=0. */
#ifndef SETTINGS_H
#define SETTINGS_H
#include "record.h"

#define VMS_MAX 64
#define DISKS_MAX 8

enum mode { MODE_CHAIN, MODE_VERIFY, MODE_IDLE };

struct settings {
    int vm;                     /* 1, 2, ...: this guest's place in the chain */
    int vms;                    /* in the chain */
    int disks;                  /* of each VM */
    int pause_ms;               /* before each round of the chain */
    enum mode mode;             /* go on writing; check and wait; wait only */
    unsigned char boot[BOOT_BYTES]; /* this boot's random identifier */
};

/* Read them; ends the process when they make no sense. */
void settings_read(struct settings *settings);

/* As the kernel prints it (8-4-4-4-12), in a buffer that the next call uses again. */
const char *boot_text(const unsigned char boot[BOOT_BYTES]);

#endif
