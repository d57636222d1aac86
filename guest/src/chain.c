/* The test guest's workload: a chain of numbered records over the disks of all VMs.

   Record n goes to VM 1's disks in their order, then to VM 2's, and so on, then record n+1: each is issued only after
   the one before was acknowledged. So at any instant the tops of the disks obey the law: in the chain's order they
   never rise, and the last is at most one below the first. A set of recovered disks that breaks it holds a write
   without one that was acknowledged before it was issued. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "network.h"
#include "settings.h"
#include "speech.h"

#define ANNOUNCE_MS 20          /* while waiting for the others */
#define WORST_EVERY 1.0         /* seconds */
#define JUDGE_SECONDS 2.0       /* places that are told one after another may look wrong for a moment */
#define DEVICE_SECONDS 10.0
#define SILENCE_SECONDS 5.0     /* without the others: then say how the network is, each time anew */

static struct settings settings;
static struct disk disks[DISKS_MAX];
static struct network network;
static volatile sig_atomic_t stopping;

static void stop(int signal) { (void)signal; stopping = 1; }

static uint64_t disk_number(int vm, int i) { return (uint64_t)((vm - 1) * settings.disks + i); }

static void own_tops(uint64_t tops[DISKS_MAX])
{
    for (int i = 0; i < settings.disks; i++)
        tops[i] = disks[i].top;
}

/* The last record that is on all disks. */
static uint64_t whole(const uint64_t *tops)
{
    uint64_t least = tops[0];
    for (int i = 1; i < settings.disks; i++)
        if (tops[i] < least)
            least = tops[i];
    return least;
}

static void wait_for_device(const char *device)
{
    for (double end = now() + DEVICE_SECONDS; access(device, F_OK); usleep(20000))
        if (now() > end)
            fail("failed device %s is not there", device);
}

static void open_and_verify(void)
{
    bool good = true;
    for (int i = 0; i < settings.disks; i++) {
        char device[32];
        snprintf(device, sizeof device, "/dev/vd%c", 'a' + i);
        wait_for_device(device);
        if (!disk_open(&disks[i], disk_number(settings.vm, i), device)) {
            good = false;
            continue;
        }
        const char *letter = disk_letter(disks[i].number), *wrong = disk_verify(&disks[i]);
        if (wrong)
            say("verified %s BROKEN %s", letter, wrong);
        else
            say("verified %s top=%llu ok", letter, (unsigned long long)disks[i].top);
        good = good && !wrong;
    }
    if (!good)
        fail("failed verify the chain does not go on from broken disks");
}

/* The tops of all disks in the chain's order; false while a VM was not heard yet. */
static bool all_tops(uint64_t *tops)
{
    for (int vm = 1; vm <= settings.vms; vm++, tops += settings.disks) {
        if (vm == settings.vm)
            own_tops(tops);
        else if (network.places[vm].heard)
            memcpy(tops, network.places[vm].tops, sizeof *tops * (size_t)settings.disks);
        else
            return false;
    }
    return true;
}

static bool lawful(const uint64_t *tops)
{
    int count = settings.vms * settings.disks;
    for (int i = 1; i < count; i++)
        if (tops[i] > tops[i - 1])
            return false;
    return tops[count - 1] + 1 >= tops[0];
}

static void say_law(const uint64_t *tops, bool good)
{
    char list[400];
    int length = 0;
    for (int i = 0; i < settings.vms * settings.disks && length < (int)sizeof list - 40; i++)
        length += snprintf(list + length, 40, " %s=%llu", disk_letter((uint64_t)i), (unsigned long long)tops[i]);
    if (good)
        say("law ok top=%llu%s", (unsigned long long)tops[0], list);
    else
        say("law BROKEN%s", list);
}

/* Hear all others, and judge. Nobody writes meanwhile for longer than one round: the chain needs this VM. */
static void join(void)
{
    uint64_t tops[VMS_MAX * DISKS_MAX], own[DISKS_MAX];
    double judge_by = 0, say_at = now() + SILENCE_SECONDS;
    own_tops(own);
    network_announce(&network, own);
    while (!stopping) {
        bool heard_all = all_tops(tops), good = heard_all && lawful(tops);
        if (heard_all && judge_by == 0)
            judge_by = now() + JUDGE_SECONDS;
        if (good || (heard_all && now() > judge_by)) {
            for (int vm = 1; vm <= settings.vms; vm++)
                if (vm != settings.vm)
                    say("peer boot=%s vm=%d", boot_text(network.places[vm].boot), vm);
            say_law(tops, good);
            if (!good)
                fail("failed law the chain does not go on");
            return;
        }
        if (!heard_all && now() > say_at) {
            network_say_state(&network);
            say_at = now() + SILENCE_SECONDS;
        }
        if (!network_listen(&network, ANNOUNCE_MS))
            network_announce(&network, own);
    }
}

/* The record that the VM before this one in the chain allows. */
static uint64_t allowed(uint64_t done)
{
    int before = settings.vm == 1 ? settings.vms : settings.vm - 1;
    if (settings.vms == 1)
        return done + 1;
    uint64_t theirs = whole(network.places[before].tops);
    uint64_t allows = settings.vm == 1 ? theirs + 1 : theirs;
    if (allows > done + 1)
        fail("failed chain vm %d is at %llu while this one is at %llu", before, (unsigned long long)theirs, (unsigned long long)done);
    return allows;
}

static void write_round(uint64_t number)
{
    for (int i = 0; i < settings.disks; i++) {
        if (disks[i].top >= number)
            continue; /* it was the furthest begun record when the guest was lost */
        const char *letter = disk_letter(disks[i].number);
        int error = disk_write(&disks[i], number, settings.boot);
        if (error)
            fail("failed %s %llu %s", letter, (unsigned long long)number, strerror(error));
        say("ack %s %llu", letter, (unsigned long long)number);
    }
}

static void say_worst(void)
{
    static double due;
    double worst = 0;
    if (now() < due)
        return;
    for (int i = 0; i < settings.disks; i++) {
        if (disks[i].worst > worst)
            worst = disks[i].worst;
        disks[i].worst = 0;
    }
    if (due > 0)
        say("worst %.3f", worst);
    due = now() + WORST_EVERY;
}

static void chain(void)
{
    uint64_t tops[DISKS_MAX];
    while (!stopping) {
        own_tops(tops);
        uint64_t done = whole(tops);
        if (settings.mode == MODE_CHAIN && done < allowed(done)) {
            if (settings.pause_ms && settings.vm == 1)
                usleep((useconds_t)settings.pause_ms * 1000);
            write_round(done + 1);
            own_tops(tops);
            network_announce(&network, tops);
            network_listen(&network, 0);
        } else if (!network_listen(&network, ANNOUNCE_MS)) {
            network_announce(&network, tops);
        }
        say_worst();
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    settings_read(&settings);
    if (settings.mode == MODE_IDLE) {
        say("idle");
        while (!stopping)
            pause();
        return 0;
    }
    open_and_verify();
    network_open(&network, &settings);
    join();
    chain();
    for (int i = 0; i < settings.disks; i++)
        disk_close(&disks[i]);
    say("stopped");
    return 0;
}
