/*
 * hosts.h - two hosts with a copy of a disk each, as nbdkits; a guest's view of it; and the way between the two.
 */
#ifndef XHA_TESTS_DISK_HOSTS_H
#define XHA_TESTS_DISK_HOSTS_H

#include <libnbd.h>
#include <stdbool.h>
#include <sys/types.h>
#include "xhad/disk/gate_in.h"
#include "xhad/disk/gate_out.h"

#define DISK_BYTES (4u << 20)
#define REGION     4096u
#define EPOCHS_MAX 64

/* Ends the program with a word on where it was. */
_Noreturn void die(const char *what, ...) __attribute__((format(printf, 1, 2)));
extern char where[128];

extern uint32_t seed;
uint32_t rnd(uint32_t n);

struct host {
    char name[8], dir[96];
    pid_t nbdkit;
    struct nbd_handle *nbd;
};

void host_make(struct host *host, const char *dir, const char *name); /* its disk has random contents */
void host_start(struct host *host);                                   /* attached, guest connected */
void host_kill(struct host *host);
void host_stop(struct host *host); /* in order */
void host_read_disk(const struct host *host, uint8_t bytes[DISK_BYTES]);
/* A word of its status: the text that follows "NAME": up to , or }. */
const char *host_status(const struct host *host, const char *name);

/* A random write of the guest, also to the model; false: it was refused with EROFS. */
bool guest_writes(struct host *host, uint8_t model[DISK_BYTES]);

/* A pair: what two workers and the link between them do, all in this thread. */
struct pair {
    struct host *primary, *backup;
    struct xha_gate_out *out;
    struct xha_gate_in *in;
    uint64_t epoch, asked, held; /* begun; its holding was asked for; is held */
    uint64_t bytes;              /* from the primary to the backup */
    uint8_t (*history)[DISK_BYTES];
    uint64_t cut_after; /* bytes, after which nothing passes any more; 0: never */
};

void pair_open(struct pair *pair, struct host *primary, struct host *backup);
void pair_close(struct pair *pair);
/* One look at both. false: one is gone. */
bool pair_turn(struct pair *pair);
/* Until both are the same; the guest writes meanwhile. */
void pair_sync(struct pair *pair, uint8_t model[DISK_BYTES]);
/* The steps of an epoch. */
void pair_barrier(struct pair *pair, const uint8_t model[DISK_BYTES]);
bool pair_hold(struct pair *pair); /* asks for it, if all has passed */
bool pair_await_held(struct pair *pair);

#endif
