#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speech.h"

static void read_text(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, (int)bytes, file))
        fail("failed settings %s cannot be read", path);
    fclose(file);
}

static void read_boot(unsigned char boot[BOOT_BYTES])
{
    char text[64];
    int filled = 0;
    read_text("/proc/sys/kernel/random/boot_id", text, sizeof text);
    for (const char *p = text; *p && *p != '\n' && filled < BOOT_BYTES; p++) {
        unsigned value;
        if (*p == '-')
            continue;
        if (sscanf(p, "%2x", &value) != 1)
            fail("failed settings the boot id makes no sense");
        boot[filled++] = (unsigned char)value;
        p++;
    }
}

static int number_of(const char *line, const char *name, int otherwise)
{
    const char *found = strstr(line, name);
    return found ? atoi(found + strlen(name)) : otherwise;
}

void settings_read(struct settings *s)
{
    char line[4096];
    memset(s, 0, sizeof *s);
    read_text("/proc/cmdline", line, sizeof line);
    s->vm = number_of(line, "farshore.vm=", 1);
    s->vms = number_of(line, "farshore.vms=", 1);
    s->disks = number_of(line, "farshore.disks=", 2);
    s->pause_ms = number_of(line, "farshore.pause_ms=", 0);
    s->mode = strstr(line, "farshore.mode=idle") ? MODE_IDLE : strstr(line, "farshore.mode=verify") ? MODE_VERIFY : MODE_CHAIN;
    read_boot(s->boot);
    if (s->vms < 1 || s->vms > VMS_MAX || s->vm < 1 || s->vm > s->vms || s->disks < 1 || s->disks > DISKS_MAX)
        fail("failed settings vm %d of %d with %d disks: at most %d VMs with %d disks", s->vm, s->vms, s->disks, VMS_MAX, DISKS_MAX);
}

const char *boot_text(const unsigned char boot[BOOT_BYTES])
{
    static char text[40];
    char *p = text;
    for (int i = 0; i < BOOT_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += sprintf(p, "%02x", boot[i]);
    }
    return text;
}
