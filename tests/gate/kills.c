/*
 * kills.c - the gate's processes die at each request that they make of the kernel. Whatever was shut stays
 * shut, what was not is as it was, and the next process finds it, completes it or takes it down.
 */
#include "tests/gate/world.h"
#include "xhad/repl/gate_nl.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fatal_request = -1, requests;

int __real_xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
                      size_t *failed_r);
int __wrap_xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
                      size_t *failed_r);
int __real_xha_nl_ask_one(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg);
int __wrap_xha_nl_ask_one(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg);

static void maybe_die(void)
{
    if (requests++ == fatal_request)
        kill(getpid(), SIGKILL);
}

int __wrap_xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
                      size_t *failed_r)
{
    maybe_die();
    return __real_xha_nl_ask(nl, msgs, n, heed, arg, failed_r);
}

int __wrap_xha_nl_ask_one(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg)
{
    maybe_die();
    return __real_xha_nl_ask_one(nl, msg, heed, arg);
}

void kill_at_request(int nth)
{
    requests = 0;
    fatal_request = nth;
}

bool done_until_killed(void (*deed)(void *arg), void *arg, int nth)
{
    const pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        kill_at_request(nth);
        deed(arg);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status);
}

/* ---- deeds ---- */

static const struct xha_gate_port port = { .domid = DOMID, .vif = VIF };
static char err[XHA_GATE_TEXT];

static struct xha_gate *fresh(void)
{
    struct xha_gate *gate;

    if (xha_gate_set_up(&port, 1, 1 << 20, &gate, err, sizeof(err)) < 0) {
        check(false, "the gate is set up: %s", err);
        return NULL;
    }
    return gate;
}

static int64_t soon(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 5000;
}

static void do_set_up(void *arg)
{
    struct xha_gate *gate;

    (void)arg;
    xha_gate_set_up(&port, 1, 1 << 20, &gate, err, sizeof(err));
}

static void do_remove(void *arg)
{
    (void)arg;
    xha_gate_remove(DOMID, soon(), NULL, err, sizeof(err));
}

static void do_barrier(void *arg)
{
    xha_gate_barrier(arg, err, sizeof(err));
}

static void do_release(void *arg)
{
    xha_gate_release_one(arg, err, sizeof(err));
}

/* ---- afterwards ---- */

static bool is_shut(void)
{
    struct xha_gate_seen seen;

    return xha_gate_look(DOMID, &seen, err, sizeof(err)) == 0 && seen.whole == 1;
}

/* By order it all goes, and what was held comes. */
static bool goes_by_order(struct world *w)
{
    const uint32_t first = w->next;
    struct xha_gate_seen seen;
    uint32_t ignored[1];

    if (xha_gate_remove(DOMID, soon(), NULL, err, sizeof(err)) < 0 ||
        xha_gate_look(DOMID, &seen, err, sizeof(err)) < 0) {
        remark("%s", err);
        return false;
    }
    world_hears(w, ignored, 0, 50);
    guest_sends(w, 10);
    return seen.ports == 0 && hears_exactly(w, first, 10) &&
           run("tc qdisc show dev " VIF " | grep -q ingress") != 0;
}

/* A new process finds it and has a gate that can be opened. */
static bool can_be_completed(struct world *w)
{
    struct xha_gate *gate = fresh();
    uint32_t first, ignored[1];
    bool good;

    if (!gate)
        return false;
    world_hears(w, ignored, 0, 50);
    guest_sends(w, 10);
    good = hears_nothing(w) && xha_gate_open(gate, err, sizeof(err)) == 0;
    world_hears(w, ignored, 0, 50);
    first = w->next;
    guest_sends(w, 10);
    good = good && hears_exactly(w, first, 10);
    xha_gate_close(gate);
    return good;
}

static void tell_set_up(struct world *w)
{
    int nth;

    for (nth = 0; nth < 40; nth++) {
        const bool through = done_until_killed(do_set_up, NULL, nth);
        const uint32_t first = w->next;
        const bool shut = is_shut();
        bool good;

        guest_sends(w, 10);
        good = shut ? hears_nothing(w) : hears_exactly(w, first, 10);
        if (nth % 2)
            good = good && can_be_completed(w);
        good = goes_by_order(w) && good;
        check(good && (shut || !through), "set up, killed at request %d%s: %s, then %s taken down by order",
              nth, through ? " (never)" : "", shut ? "shut" : "as it was", nth % 2 ? "completed and" : "");
        if (through)
            break;
    }
    check(nth >= 8 && nth < 40, "a set-up is killed at each of its %d requests", nth);
}

static void tell_remove(struct world *w)
{
    bool through = false;

    for (int nth = 0; nth < 60 && !through; nth++) {
        uint32_t after;
        bool good, shut;
        struct xha_gate *gate = fresh();

        if (!gate)
            return;
        guest_sends(w, 10);
        through = done_until_killed(do_remove, NULL, nth);
        after = w->next;
        /* Either nothing was let out yet, or all of it; and then all that follows. */
        shut = hears_nothing(w);
        xha_gate_close(gate);
        guest_sends(w, 10);
        good = shut ? hears_nothing(w) : hears_exactly(w, after, 10);
        good = goes_by_order(w) && good;
        if (!good || nth == 0 || through)
            check(good && (through ? !shut : true), "removal, killed at request %d%s: %s; then by order", nth,
                  through ? " (never)" : "", shut ? "shut" : "open");
    }
    check(through, "a removal was killed at each of its requests");
}

/* An epoch of ten, another of ten, and the process dies in what comes in between. */
static void tell_epochs(struct world *w)
{
    for (int nth = 0; nth < 8; nth++) {
        struct xha_gate *gate = fresh();
        bool good;

        if (!gate)
            return;
        guest_sends(w, 10);
        done_until_killed(do_barrier, gate, nth);
        guest_sends(w, 10);
        good = hears_nothing(w) && is_shut();
        xha_gate_close(gate);
        check(goes_by_order(w) && good, "barrier, killed at request %d: nothing comes", nth);
    }
    for (int nth = 0; nth < 4; nth++) {
        struct xha_gate *gate = fresh();
        const uint32_t first = w->next;
        static uint32_t numbers[64];
        size_t n;
        bool good;

        if (!gate)
            return;
        guest_sends(w, 10);
        good = xha_gate_barrier(gate, err, sizeof(err)) == 0;
        guest_sends(w, 10);
        done_until_killed(do_release, gate, nth);
        n = world_hears(w, numbers, 64, 100);
        good = good && (n == 0 || n == 10) && is_shut() && (n == 0 || numbers[9] == first + 9);
        xha_gate_close(gate);
        check(goes_by_order(w) && good, "release, killed at request %d: %s", nth,
              n ? "the committed epoch came, no more" : "nothing comes");
    }
}

void tell_kills(struct world *w)
{
    tell_set_up(w);
    tell_remove(w);
    tell_epochs(w);
}
