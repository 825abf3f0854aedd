/*
 * out.h - the thread between the save pipe of a replicated domain and the link to its backup.
 *
 * It empties the pipe into memory before it does anything else, because the guest stands still meanwhile; packs
 * and sends when there is nothing to read; and takes the backup's acknowledgements. From start to finish the
 * wire belongs to it.
 */
#ifndef XHA_REPL_OUT_H
#define XHA_REPL_OUT_H

#include "xhad/move/wire.h"
#include "xhad/repl/beside.h"
#include "xhad/repl/epoch.h"
#include "xhad/repl/tank.h"
#include "xhad/repl/terms.h"

/* After the backup's READY: says what we would like, and waits for what is granted. 0, or -1 with a text in err. */
int xha_out_agree(struct xha_wire *wire, const struct xha_terms *wanted, int64_t until_ms,
                  struct xha_terms *terms_r, char *err, size_t err_len);

/* How it stands. */
struct xha_out_told {
    uint64_t acked; /* the last epoch that the backup holds */
    uint64_t pages; /* packed of the epoch under way */
    uint64_t wire_bytes;
};

struct xha_out_plan {
    struct xha_wire *wire;               /* greeted, the terms agreed on */
    const struct xha_out_beside *beside; /* stays the caller's; NULL: nothing */
    struct xha_terms terms;              /* as granted */
    uint64_t
        tank_bytes; /* memory for what is not yet sent; an epoch that is larger keeps the guest waiting */
    /* From the thread, about twice a second. NULL: nobody asks. */
    void (*tell)(void *arg, const struct xha_out_told *told);
    void *arg;
};

struct xha_out;

/* stream_fd_r: where libxl's stream is to be written; EPIPE when sending has failed. 0, or -1 with errno. */
int xha_out_start(const struct xha_out_plan *plan, struct xha_out **out_r, int *stream_fd_r);

/* What an epoch was. */
struct xha_out_epoch {
    struct xha_epoch_seen seen;
    int64_t began_us; /* CLOCK_MONOTONIC: its first byte was in the pipe */
    int64_t ended_us; /* its END was queued for the backup */
    int64_t acked_us; /* the backup said that it holds it */
};

/*
 * Waits until the backup holds the epoch (from 1 on), one of the last XHA_OUT_EPOCHS. 0; or -1 with a text in
 * err: it will not be, the backup is gone or refuses, or stop was asked for.
 */
#define XHA_OUT_EPOCHS 8
int xha_out_await(struct xha_out *out, uint64_t epoch, struct xha_out_epoch *epoch_r, char *err,
                  size_t err_len);

/*
 * Lets the time pass until until_us (CLOCK_MONOTONIC), as long as all is well. 0, or -1 with a text in err.
 */
int xha_out_rest(struct xha_out *out, int64_t until_us, char *err, size_t err_len);

struct xha_out_stats {
    uint64_t acked; /* the last epoch that the backup holds */
    uint64_t wire_bytes;
    struct xha_tank_stats tank;
    struct xha_shadow_stats shadow;
};

/* Closes stream_fd, ends the thread whatever it was about, and frees. The wire stays, for last words. */
void xha_out_finish(struct xha_out *out, struct xha_out_stats *stats_r);

#endif
