/*
 * fsm.c - state x signal: what each thing that can happen to a domain means in each state. The matrix is the
 * whole of it: every pair has a handler, is ignored on purpose, or cannot be and stops the daemon.
 */
#include "internal.h"

static void ignore(struct xha_core *core, struct dom *d)
{
    (void)core;
    (void)d;
}

static void never(struct xha_core *core, struct dom *d)
{
    (void)core;
    (void)d;
    assert(!"a signal that cannot be in this state");
}

#define _       ignore
#define X       never
#define H(name) xha_##name

/* clang-format off */
static handler *const matrix[XHA_ST_N_][SIG_N_] = {
/* What was seen:      ALIVE        BEAT            PAUSED          SUSPENDED       DIED           GONE        REPLACED          ends of deeds: OK  REFUSED            UNKNOWN         TIMER                   LATE     PROBED       TURN */
[XHA_ST_DEFINED]     = { H(appeared), _,              _,              _,              _,             _,          H(other_at_rest), X,           X,                 X,              X,                      _,       _,           X },
[XHA_ST_QUEUED]      = { H(appeared), H(beat_failed), H(appeared_paused), H(appeared_paused), _,             _,          H(adopt_other),   X,           X,                 X,              H(waited),              _,       _,           H(turn) },
[XHA_ST_MIGRATING]   = { _,           _,              _,              _,              _,             _,          _,                H(migrated), H(migrate_refused), H(migrate_unknown), H(move_timer),     _,       _,           X },
[XHA_ST_INCOMING]    = { _,           _,              _,              _,              _,             _,          _,                H(received), H(receive_refused), H(receive_unknown), H(move_timer),     _,       _,           X },
[XHA_ST_STANDBY]     = { _,           _,              _,              _,              _,             _,          _,                H(standby_ok), H(standby_refused), H(standby_unknown), H(move_timer), _,       _,           X },
[XHA_ST_CLEARING]    = { _,           _,              _,              _,              _,             H(cleared), H(stop_other),    H(cleared),  H(clear_refused),  H(unsure),      H(clear_again),         _,       _,           X },
[XHA_ST_STARTING]    = { X,           X,              X,              X,              X,             X,          X,                H(started),  H(start_refused),  H(unsure),      X,                      _,       _,           X },
[XHA_ST_BOOTING]     = { _,           H(beat_first),  H(pause),       H(pause),       H(died),       H(vanish),  H(adopt_other),   H(run_ok),   H(run_refused),    H(run_unknown), H(boot_late),           _,       _,           X },
[XHA_ST_RUNNING]     = { _,           _,              H(pause),       H(pause),       H(died),       H(vanish),  H(adopt_other),   H(run_ok),   H(run_refused),    H(run_unknown), X,                      H(late), _,           X },
[XHA_ST_SUSPECT]     = { _,           H(beat_back),   H(pause),       H(pause),       H(died),       H(vanish),  H(adopt_other),   H(run_ok),   H(run_refused),    H(run_unknown), H(probe_again),         _,       H(probed),   X },
[XHA_ST_PAUSED]      = { H(unpause),  _,              _,              _,              H(died),       H(pause_gone),  H(adopt_other),   H(run_ok),   H(run_refused),    H(run_unknown), X,                      _,       _,           X },
[XHA_ST_STOPPING]    = { _,           _,              _,              _,              H(stop_died),  H(cleared), H(stop_other),    H(asked),    H(ask_refused),    H(asked),       H(stop_late),           _,       _,           X },
[XHA_ST_VANISHED]    = { H(adopt),    _,              _,              _,              H(died),       _,          H(adopt_other),   X,           X,                 X,              H(vanished_for_good),   _,       _,           X },
[XHA_ST_UNSURE]      = { H(sure_alive), _,            H(sure_paused), H(sure_paused), H(sure_died),  H(sure_gone), H(adopt_other), H(resumed),  H(resume_failed),  H(resume_unknown), H(look_again),        _,       _,           X },
[XHA_ST_STOPPED]     = { H(appeared), _,              _,              _,              _,             _,          H(other_at_rest), X,           X,                 X,              X,                      _,       _,           X },
[XHA_ST_FAILED]      = { H(appeared), H(beat_failed), _,              _,              _,             _,          H(other_at_rest), X,           X,                 X,              X,                      _,       _,           X },
[XHA_ST_ERROR]       = { _,           _,              _,              _,              _,             _,          _,                X,           X,                 X,              X,                      _,       _,           X },
[XHA_ST_MAINTENANCE] = { _,           _,              _,              _,              _,             _,          _,                X,           X,                 X,              X,                      _,       _,           X },
};
/* clang-format on */

void xha_fsm(struct xha_core *core, struct dom *d, enum signal sig)
{
    bool end = sig == SIG_OK || sig == SIG_REFUSED || sig == SIG_UNKNOWN;

    assert((unsigned)d->state < XHA_ST_N_ && (unsigned)sig < SIG_N_);
    if ((d->pending || d->yield_waits) && !end) {
        /* One deed at a time: whatever else happened is looked at when it has ended. */
        if (sig == SIG_TIMER)
            xha_timer(core, d, TIMER_STATE, after(core->now, core->set.round_interval));
        return;
    }
    matrix[d->state][sig](core, d);
    /* While nobody knows how the deed ended, only one order can be taken: to leave it alone. */
    if (d->used && d->deferred && !d->pending &&
        (d->state != XHA_ST_UNSURE || d->deferred_do == XHA_DO_MAINTENANCE_ON))
        xha_deferred(core, d);
}

void xha_fsm_audit(void)
{
    for (int s = 0; s < XHA_ST_N_; s++)
        for (int g = 0; g < SIG_N_; g++)
            assert(matrix[s][g]);
}
