#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "speech.h"

#define PORT 7700
#define BOOTS_REMEMBERED 256
#define ERRORS_REMEMBERED 32

struct message {
    char magic[8];              /* "FARCHAIN" */
    uint32_t vm, disks;
    unsigned char boot[BOOT_BYTES];
    uint64_t tops[DISKS_MAX];
};

/* Say that a call failed, once for each call and errno: the network is tried again many times a second. */
static void say_error(const char *call)
{
    static struct { const char *call; int error; } said[ERRORS_REMEMBERED];
    static int count;
    int error = errno;
    for (int i = 0; i < count; i++)
        if (!strcmp(said[i].call, call) && said[i].error == error)
            return;
    if (count == ERRORS_REMEMBERED)
        return;
    said[count].call = call;
    said[count++].error = error;
    say("network %s: %s", call, strerror(error));
}

void network_open(struct network *n, const struct settings *settings)
{
    memset(n, 0, sizeof *n);
    n->settings = settings;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int yes = 1;
    n->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (n->socket < 0 || setsockopt(n->socket, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) ||
        bind(n->socket, (struct sockaddr *)&here, sizeof here))
        fail("failed network %s", strerror(errno));
}

void network_announce(struct network *n, const uint64_t *tops)
{
    struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct message m = {.magic = "FARCHAIN", .vm = (uint32_t)n->settings->vm, .disks = (uint32_t)n->settings->disks};
    all.sin_addr.s_addr = htonl(0x0A4DFFFF); /* 10.77.255.255 */
    memcpy(m.boot, n->settings->boot, BOOT_BYTES);
    memcpy(m.tops, tops, sizeof(uint64_t) * (size_t)n->settings->disks);
    /* Lost is lost: it is told again until the chain goes on. */
    if (sendto(n->socket, &m, sizeof m, 0, (struct sockaddr *)&all, sizeof all) < 0)
        say_error("send");
    else
        n->told++;
}

/* True the first time that this boot id is heard. */
static bool is_new(const unsigned char boot[BOOT_BYTES])
{
    static unsigned char boots[BOOTS_REMEMBERED][BOOT_BYTES];
    static int count;
    for (int i = 0; i < count; i++)
        if (!memcmp(boots[i], boot, BOOT_BYTES))
            return false;
    if (count < BOOTS_REMEMBERED)
        memcpy(boots[count++], boot, BOOT_BYTES);
    return true;
}

static void take_in(struct network *n, const struct message *m)
{
    if (memcmp(m->magic, "FARCHAIN", 8) || !memcmp(m->boot, n->settings->boot, BOOT_BYTES))
        return; /* not ours, or our own broadcast come back */
    if (is_new(m->boot))
        say("heard boot=%s vm=%u", boot_text(m->boot), m->vm);
    if (m->vm < 1 || m->vm > (uint32_t)n->settings->vms || m->vm == (uint32_t)n->settings->vm ||
        m->disks != (uint32_t)n->settings->disks)
        return;
    struct place *place = &n->places[m->vm];
    bool other_boot = !place->heard || memcmp(place->boot, m->boot, BOOT_BYTES);
    place->heard = true;
    memcpy(place->boot, m->boot, BOOT_BYTES);
    for (int i = 0; i < n->settings->disks; i++)
        if (other_boot || m->tops[i] > place->tops[i])
            place->tops[i] = m->tops[i];
}

bool network_listen(struct network *n, int wait_ms)
{
    struct pollfd watch = {.fd = n->socket, .events = POLLIN};
    struct message m;
    ssize_t length;
    bool came = false;
    if (wait_ms && poll(&watch, 1, wait_ms) <= 0)
        return false;
    while ((length = recv(n->socket, &m, sizeof m, 0)) == (ssize_t)sizeof m) {
        take_in(n, &m);
        n->taken_in++;
        came = true;
    }
    if (length < 0 && errno != EAGAIN && errno != EINTR)
        say_error("recv");
    return came;
}

/* A counter that the kernel keeps of the card, -1 where there is none. */
static long long counted(const char *name)
{
    char path[80];
    long long value = -1;
    snprintf(path, sizeof path, "/sys/class/net/eth0/statistics/%s", name);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    if (fscanf(file, "%lld", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

void network_say_state(const struct network *n)
{
    say("network told=%llu taken_in=%llu sent=%lld send_dropped=%lld received=%lld receive_dropped=%lld", n->told,
        n->taken_in, counted("tx_packets"), counted("tx_dropped"), counted("rx_packets"), counted("rx_dropped"));
}
