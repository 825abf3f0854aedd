/*
 * world.h - the little world around a gate under test: a bridge with two taps. What is written to the guest's tap comes
 * out of "its vif" as a guest's packets do in dom0; what can be read from the other one has left the host. Frames carry a number and
 * a protocol, so that each is known again.
 */
#ifndef TESTS_GATE_WORLD_H
#define TESTS_GATE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xhad/repl/gate.h"

#define DOMID 7
#define VIF   "vif7.0"

extern const uint16_t protocols[]; /* ARP, IPv4, IPv6, one of nobody's, and one with a VLAN's tag */
#define PROTOCOLS 5

struct world {
    int guest, outside; /* the taps */
    uint32_t next;      /* number of the next frame */
};

void world_begin(struct world *w); /* ends the program when it cannot be */
int world_add_vif(const char *name);
void world_end(struct world *w);

/* n frames, protocols in turn, as the guest's. */
void guest_sends(struct world *w, unsigned n);
/*
 * What has left, as a list of numbers, until none has come for quiet_ms; UNTIL_MAX: until there are max, or none has come
 * for long. Returns how many; their bytes are checked to be whole.
 */
#define UNTIL_MAX (-1)
size_t world_hears(struct world *w, uint32_t *numbers, size_t max, int quiet_ms);

/* All of first .. first + n - 1 and nothing else, in order. */
bool hears_exactly(struct world *w, uint32_t first, unsigned n);
bool hears_nothing(struct world *w);

/* A command of the shell; its status. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* TAP */
void check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));
int finish(void);

/* kills.c: the process kills itself (SIGKILL) instead of making request number nth of the kernel, from 0 on; -1: never. */
void kill_at_request(int nth);

/* A forked process does something and ends with _exit(0) when it got through. */
bool done_until_killed(void (*deed)(void *arg), void *arg, int nth);

/* kills.c: the part of the story about processes that die. */
void tell_kills(struct world *w);

#endif
