/*
 * gate-story.c - the network gate, told in a real kernel (gate.sh boots one). Prints TAP. Must be root in a
 * network of its own, with ip and tc at hand.
 */
#include "tests/gate/world.h"
#include "xhad/repl/announce.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT (1 << 20)

static const struct xha_gate_port port = { .domid = DOMID, .vif = VIF };
static char err[XHA_GATE_TEXT];

static int64_t soon(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 5000;
}

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static struct xha_gate *make(uint32_t limit)
{
    struct xha_gate *gate = NULL;

    if (xha_gate_set_up(&port, 1, limit, &gate, err, sizeof(err)) < 0) {
        printf("Bail out! the gate cannot be set up: %s\nTAP-END\n", err);
        exit(1);
    }
    return gate;
}

static bool does(int (*deed)(struct xha_gate *, char *, size_t), struct xha_gate *gate)
{
    if (deed(gate, err, sizeof(err)) == 0)
        return true;
    remark("%s", err);
    return false;
}

static bool goes(struct xha_gate *gate)
{
    if (xha_gate_take_down(gate, soon(), err, sizeof(err)) == 0)
        return true;
    remark("%s", err);
    return false;
}

static bool nothing_left(void)
{
    return run("ip -o link show | grep -q xhg") != 0 && run("tc qdisc show | grep -qE 'plug|ingress'") != 0;
}

/* ---- shut, epochs, open ---- */

static void tell_shut(struct world *w)
{
    struct xha_gate *gate = make(LIMIT);
    struct xha_gate_stats s;
    struct xha_gate_seen seen;
    const uint32_t first = w->next;
    bool good;

    check(xha_gate_state(gate) == XHA_GATE_SHUT, "a gate that was set up is shut");
    usleep(300000);
    check(xha_gate_stats(gate, &s, err, sizeof(err)) == 0 && s.held_packets == 0,
          "the ifb says nothing of its own");
    guest_sends(w, 10 * PROTOCOLS);
    check(hears_nothing(w),
          "nothing gets out while it is shut: ARP, IPv4, IPv6, a protocol of nobody's, a VLAN's");
    good = xha_gate_stats(gate, &s, err, sizeof(err)) == 0;
    check(good && s.held_packets == 10 * PROTOCOLS && s.held_bytes >= 250 * 10 * PROTOCOLS &&
              s.dropped_packets == 0,
          "all of it is held: %u packets", (unsigned)s.held_packets);
    check(xha_gate_look(DOMID, &seen, err, sizeof(err)) == 0 && seen.ports == 1 && seen.whole == 1 &&
              seen.held_packets == 10 * PROTOCOLS,
          "anybody who looks finds it whole");
    check(run("tc -s qdisc show dev xhg7.0 | grep -q ' %up '", 10 * PROTOCOLS) == 0, "tc says the same");
    check(!does(xha_gate_release_one, gate) && hears_nothing(w), "no epoch has ended, so none is let out");
    check(does(xha_gate_barrier, gate) && xha_gate_state(gate) == XHA_GATE_SEALED && hears_nothing(w),
          "the end of an epoch lets nothing out");
    guest_sends(w, 7);
    check(xha_gate_barrier(gate, err, sizeof(err)) < 0 && xha_gate_state(gate) == XHA_GATE_SEALED,
          "no second epoch ends before the first is let out");
    check(does(xha_gate_release_one, gate) && hears_exactly(w, first, 10 * PROTOCOLS),
          "a committed epoch comes, in order, and no packet of the next one");
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) &&
              hears_exactly(w, first + 10 * PROTOCOLS, 7),
          "so does the next");
    check(goes(gate) && nothing_left(), "it is taken down and leaves nothing");
}

static void tell_epochs(struct world *w)
{
    struct xha_gate *gate = make(LIMIT);
    bool good = true;
    uint32_t first = w->next;
    unsigned before = 0;
    int64_t barrier_us = 0, release_us = 0;
    struct xha_gate_stats s;
    const unsigned epochs = 60;

    srand(1);
    for (unsigned i = 0; i < epochs && good; i++) {
        const unsigned n = (unsigned)rand() % 40 * (i % 3 > 0); /* some are empty */
        const unsigned later = (unsigned)rand() % 10;
        int64_t t;

        guest_sends(w, n);
        t = now_us();
        good = does(xha_gate_barrier, gate);
        barrier_us += now_us() - t;
        guest_sends(w, later); /* of the next epoch */
        t = now_us();
        good = good && does(xha_gate_release_one, gate);
        release_us += now_us() - t;
        good = good && hears_exactly(w, first, before + n);
        first += before + n;
        before = later;
    }
    check(good, "%u epochs come one by one, each exactly and in order", epochs);
    good = xha_gate_stats(gate, &s, err, sizeof(err)) == 0;
    check(good && s.epochs == epochs && s.delay_us > s.wait_us && s.wait_us > 0,
          "the delay of the last is known: %d us, of which %d after its end", (int)s.delay_us,
          (int)s.wait_us);
    remark("barrier %d us, release %d us under emulation", (int)(barrier_us / epochs),
           (int)(release_us / epochs));
    check(goes(gate) && hears_exactly(w, first, before), "what was still held comes when it is taken down");
}

static void tell_open(struct world *w)
{
    struct xha_gate *gate = make(LIMIT);
    uint32_t first = w->next;

    guest_sends(w, 30);
    check(does(xha_gate_open, gate) && hears_exactly(w, first, 30), "opened, it lets out what it held");
    first = w->next;
    guest_sends(w, 30);
    check(hears_exactly(w, first, 30) && nothing_left() == false, "and passes on what comes");
    first = w->next;
    check(does(xha_gate_shut, gate), "it is shut again");
    guest_sends(w, 20);
    check(hears_nothing(w), "and holds");
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) && hears_exactly(w, first, 20),
          "and its epochs are right");
    first = w->next;
    guest_sends(w, 5);
    xha_gate_close(gate);
    gate = make(LIMIT);
    check(xha_gate_state(gate) == XHA_GATE_FOUND && hears_nothing(w),
          "whoever comes next finds it, and nothing gets out");
    check(xha_gate_barrier(gate, err, sizeof(err)) < 0 && xha_gate_release_one(gate, err, sizeof(err)) < 0,
          "nobody knows its epochs any more");
    check(does(xha_gate_open, gate) && hears_exactly(w, first, 5) && does(xha_gate_shut, gate),
          "opened by order it is known again");
    check(goes(gate) && nothing_left(), "nothing is left");
}

/* Somebody who talks through every device of the host, lldpd say. */
static bool stranger_says(const char *name)
{
    const uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x88, 0xcc };
    struct sockaddr_ll to = { .sll_family = AF_PACKET,
                              .sll_ifindex = (int)if_nametoindex(name),
                              .sll_halen = 6 };
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    bool sent =
        sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)sizeof(frame);

    close(fd);
    return sent;
}

static void tell_stranger(struct world *w)
{
    struct xha_gate *gate = make(LIMIT);
    const uint32_t first = w->next;

    guest_sends(w, 5);
    check(stranger_says("xhg7.0"), "a program of the host's speaks through the gate");
    guest_sends(w, 5);
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) && hears_exactly(w, first, 10),
          "it is heard by nobody, and the guest's epoch is right");
    check(goes(gate) && nothing_left(), "nor does it keep the gate from being taken down");
}

static void tell_limit(struct world *w)
{
    const uint32_t limit = 20000, first = w->next;
    struct xha_gate *gate = make(limit);
    struct xha_gate_stats s;
    unsigned held;
    bool good;

    guest_sends(w, 200);
    good = xha_gate_stats(gate, &s, err, sizeof(err)) == 0;
    check(good && s.held_bytes <= limit && s.dropped_packets > 0 && s.held_packets + s.dropped_packets == 200,
          "over the limit it drops and says so: %u held, %u dropped", (unsigned)s.held_packets,
          (unsigned)s.dropped_packets);
    held = (unsigned)s.held_packets;
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) && hears_exactly(w, first, held),
          "what it holds is right all the same");
    check(goes(gate), "it is taken down");
}

/* ---- under traffic ---- */

/* A guest that sends all the time, in a process of its own. It waits for whoever listens, or the tap overflows. */
struct talk {
    uint32_t next, heard;
};
#define AHEAD 3000

static pid_t talkative(struct world *w, struct talk *talk)
{
    const uint32_t first = w->next;
    pid_t pid = fork();

    if (pid)
        return pid;
    for (;;) {
        if (w->next - first < __atomic_load_n(&talk->heard, __ATOMIC_SEQ_CST) + AHEAD)
            guest_sends(w, 20);
        __atomic_store_n(&talk->next, w->next, __ATOMIC_SEQ_CST);
        usleep(2000);
    }
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void tell_traffic(struct world *w)
{
    struct talk *talk = mmap(NULL, sizeof(*talk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static uint32_t numbers[200000];
    const uint32_t first = w->next;
    unsigned lost = 0, doubled = 0, overtaken = 0;
    size_t n = 0;
    bool good = true;
    pid_t pid = talkative(w, talk);

    for (int i = 0; i < 8; i++) {
        struct xha_gate *gate;

        n += world_hears(w, numbers + n, 500, UNTIL_MAX); /* some without a gate */
        __atomic_store_n(&talk->heard, (uint32_t)n, __ATOMIC_SEQ_CST);
        gate = make(16 << 20);
        usleep(30000);
        if (i % 2) {
            good = good && does(xha_gate_open, gate);
            usleep(20000);
        }
        good = goes(gate) && good;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    n += world_hears(w, numbers + n, sizeof(numbers) / sizeof(*numbers) - n, 200);
    for (size_t i = 1; i < n; i++)
        overtaken += numbers[i] < numbers[i - 1];
    qsort(numbers, n, sizeof(*numbers), by_number);
    for (size_t i = 1; i < n; i++) {
        doubled += numbers[i] == numbers[i - 1];
        if (numbers[i] > numbers[i - 1] + 1)
            remark("%u lost behind %u", numbers[i] - numbers[i - 1] - 1, numbers[i - 1]);
        lost += numbers[i] > numbers[i - 1] + 1;
    }
    /* The last ones may have been sent after the sender told its number last. */
    check(good && n > 1000 && numbers[0] == first && numbers[n - 1] + 1 >= talk->next && lost == 0 &&
              doubled == 0,
          "8 gates come and go under traffic: of %zu packets none is lost (%u) or doubled (%u)", n, lost,
          doubled);
    remark("%u of them were overtaken", overtaken);
    w->next = n ? numbers[n - 1] + 1 : talk->next;
    check(nothing_left(), "nothing is left");
}

/* ---- odd worlds ---- */

static void tell_others(struct world *w)
{
    struct xha_gate_port two[2] = { port, { .domid = DOMID, .devid = 1, .vif = "vif7.1" } };
    struct xha_gate *gate = NULL;
    uint32_t first = w->next;
    char what[128] = "";
    int fd;

    guest_sends(w, 10);
    check(xha_gate_set_up(two, 2, LIMIT, &gate, err, sizeof(err)) < 0 && strstr(err, "vif7.1") &&
              nothing_left(),
          "a device that is not there (yet): %s", err);
    guest_sends(w, 10);
    check(hears_exactly(w, first, 20), "the other one is as it was");

    gate = make(LIMIT);
    check(!xha_gate_vifs_changed(gate, what, sizeof(what)), "no news while nothing happens");
    fd = world_add_vif("vif7.1");
    check(xha_gate_vifs_changed(gate, what, sizeof(what)) && strstr(what, "vif7.1"),
          "a new device is noticed: %s", what);
    check(!xha_gate_vifs_changed(gate, what, sizeof(what)), "once");
    check(goes(gate), "taken down");
    check(xha_gate_set_up(two, 2, LIMIT, &gate, err, sizeof(err)) == 0, "a gate of two devices");
    first = w->next;
    guest_sends(w, 10);
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) && hears_exactly(w, first, 10),
          "its epochs are right");
    close(fd);
    usleep(100000);
    check(xha_gate_vifs_changed(gate, what, sizeof(what)) && strstr(what, "vif7.1"),
          "a device that goes is noticed: %s", what);
    check(goes(gate) && nothing_left(), "the gate of a device that is gone goes, too");

    run("ip link add xhg7.0 type ifb && ip link set xhg7.0 alias mine");
    check(xha_gate_set_up(&port, 1, LIMIT, &gate, err, sizeof(err)) < 0 &&
              run("ip link show xhg7.0 | grep -q mine") == 0,
          "somebody else's device is left alone: %s", err);
    run("ip link del xhg7.0; tc qdisc add dev " VIF " ingress; "
        "tc filter add dev " VIF " ingress prio 5 matchall action mirred egress redirect dev world0");
    check(xha_gate_set_up(&port, 1, LIMIT, &gate, err, sizeof(err)) < 0 &&
              run("tc filter show dev " VIF " ingress | grep -q world0") == 0,
          "so are somebody else's filters: %s", err);
    run("tc qdisc del dev " VIF " ingress");
    check(nothing_left(), "nothing is left");
}

static void tell_vif_gone(struct world *w)
{
    struct xha_gate *gate = make(LIMIT);
    struct xha_gate_seen seen;
    uint32_t first;

    guest_sends(w, 10);
    close(w->guest);
    usleep(100000);
    xha_gate_close(gate);
    check(xha_gate_look(DOMID, &seen, err, sizeof(err)) == 0 && seen.ports == 1 && seen.whole == 0,
          "a gate whose guest is gone is not whole");
    w->guest = world_add_vif(VIF);
    first = w->next;
    guest_sends(w, 10);
    check(hears_exactly(w, first, 10), "a new device of the same name passes it by");
    gate = make(LIMIT);
    first = w->next;
    guest_sends(w, 10);
    check(xha_gate_state(gate) == XHA_GATE_SHUT && hears_nothing(w), "until its own gate takes the place");
    check(does(xha_gate_barrier, gate) && does(xha_gate_release_one, gate) && hears_exactly(w, first, 10),
          "which holds nothing of the old guest's");
    run("tc qdisc replace dev xhg7.0 root pfifo");
    check(xha_gate_barrier(gate, err, sizeof(err)) < 0 && xha_gate_state(gate) == XHA_GATE_BROKEN,
          "a plug that somebody takes away is noticed: %s", err);
    check(goes(gate) && nothing_left(), "nothing is left");
}

/* ---- after a takeover ---- */

static unsigned frames_of(int fd, uint16_t protocol)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    unsigned n = 0;
    uint8_t frame[2048];

    while (poll(&p, 1, 100) > 0) {
        const ssize_t len = read(fd, frame, sizeof(frame));

        n += len >= 42 && (frame[12] << 8 | frame[13]) == protocol &&
             memcmp(frame + 6, "\0\x16\x3e\x01\x02\x03", 6) == 0;
    }
    return n;
}

static void tell_announce(struct world *w)
{
    static const uint8_t mac[6] = { 0, 0x16, 0x3e, 1, 2, 3 };
    struct xha_announce_address a[2];
    unsigned sent = 0, heard;

    xha_announce_address_parse("10.0.0.7", &a[0]);
    xha_announce_address_parse("fd00::7", &a[1]);
    run("bridge fdb replace 00:16:3e:01:02:03 dev world0 master dynamic");
    frames_of(w->guest, 0);
    frames_of(w->outside, 0);
    err[0] = '\0';
    check(xha_announce(VIF, mac, a, 2, &sent, err, sizeof(err)) == 0 && sent == 3,
          "the guest is announced by three frames%s%s", err[0] ? ": " : "", err);
    heard = frames_of(w->outside, 0x8035);
    check(heard == 1, "the world hears that it is here");
    check(frames_of(w->guest, 0x8035) == 0, "the guest itself hears nothing");
    check(run("bridge fdb show dev " VIF " | grep -q 00:16:3e:01:02:03") == 0,
          "the bridge knows where it is");
    check(xha_announce("lo", mac, a, 2, &sent, err, sizeof(err)) < 0 && strstr(err, "no bridge"),
          "said where there is no bridge: %s", err);
}

int main(void)
{
    struct world w;

    printf("TAP-BEGIN\n");
    kill_at_request(-1);
    world_begin(&w);
    guest_sends(&w, 10);
    check(hears_exactly(&w, 1, 10), "without a gate everything gets out");
    tell_shut(&w);
    tell_epochs(&w);
    tell_open(&w);
    tell_stranger(&w);
    tell_limit(&w);
    tell_traffic(&w);
    tell_others(&w);
    tell_vif_gone(&w);
    tell_announce(&w);
    tell_kills(&w);
    world_end(&w);
    return finish();
}
