/*
 * replicate_loop.c - libxc's checkpoint loop for the sender of a replicated domain, with the steps between in our hands.
 *
 * An epoch: suspend, the gate ends what was sent, the pages that changed into memory, resume; then, while the guest runs,
 * the rest of the framing, the backup's acknowledgement, what was sent may leave, and the interval. The first epoch
 * ends the first copy: the gate is shut in it, so that the guest is protected as soon as the backup has it.
 */
#include "xhad/xen/replicate_out.h"
#include "xhad/base/file.h"
#include "xhad/move/stream.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenguest.h>

#define PRECOPY_ROUNDS 5
#define PRECOPY_DIRTY  50 /* pages, so few that the guest may as well be paused */
#define TELL_MS        2000
#define DISKS_US       100000 /* between two looks at how far they are */

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int ended(struct xha_sender *s, const char *why)
{
    if (s->why[0] == '\0')
        snprintf(s->why, sizeof(s->why), "%s", why);
    return 0;
}

/* ---- the pause ---- */

/* A guest that does not suspend is not waited for when there is nobody to send it to. */
static bool in_vain(void *arg)
{
    struct xha_sender *s = arg;
    char ignored[XHA_ANSWER_TEXT];

    return xha_work_stop(s->w) || xha_out_rest(s->out, 0, ignored, sizeof(ignored)) < 0;
}

static int not_suspended(struct xha_sender *s, const char *why)
{
    char err[XHA_ANSWER_TEXT];

    return ended(s, xha_out_rest(s->out, 0, err, sizeof(err)) < 0 ? err : why);
}

static int on_suspend(void *arg)
{
    struct xha_sender *s = arg;
    char err[XHA_GATE_TEXT];

    s->pauser.stop = (struct xha_stop){ .asked = in_vain, .arg = s };
    s->asked_us = now_us();
    if (xha_pauser_suspend(&s->pauser, err, sizeof(err)) < 0)
        return not_suspended(s, err);
    s->suspended_us = now_us();
    if (xha_sender_gate_epoch(&s->gate, err, sizeof(err)) < 0 ||
        (s->disks && xha_gate_out_barrier(s->disks, s->epoch, err, sizeof(err)) < 0))
        return ended(s, err);
    s->gated_us = now_us();
    return 1;
}

static int on_precopy(struct precopy_stats stats, void *arg)
{
    struct xha_sender *s = arg;
    const bool few = stats.dirty_count >= 0 && stats.dirty_count < PRECOPY_DIRTY;

    atomic_store(&s->round, stats.iteration + 1);
    if (xha_work_stop(s->w))
        return XGS_POLICY_ABORT;
    return stats.iteration >= PRECOPY_ROUNDS || few ? XGS_POLICY_STOP_AND_COPY : XGS_POLICY_CONTINUE_PRECOPY;
}

/* All pages are in the pipe, or out of it already: the guest runs on. */
static int on_copied(void *arg)
{
    struct xha_sender *s = arg;
    char err[XHA_ANSWER_TEXT];

    s->copied_us = now_us();
    if (xha_pauser_resume(&s->pauser, err, sizeof(err)) < 0)
        return ended(s, err);
    s->resumed_us = now_us();
    return xha_pauser_resumed(&s->pauser, err, sizeof(err)) < 0 ? ended(s, err) : 1;
}

/* ---- the guest runs ---- */

static int put_record(struct xha_sender *s, uint32_t type)
{
    const uint32_t record[2] = { htole32(type), 0 };

    return xha_write_all(s->stream_fd, record, sizeof(record));
}

/* When the scan for changed pages was over and the first one came; on a busy host that is noticed late. */
static int64_t first_page_us(const struct xha_sender *s, const struct xha_out_epoch *e)
{
    return e->began_us < s->gated_us ? s->gated_us : e->began_us > s->copied_us ? s->copied_us : e->began_us;
}

static void tell_epoch(struct xha_sender *s, const struct xha_out_epoch *e)
{
    const int64_t first_us = first_page_us(s, e);
    struct xha_job_epoch line = {
        .number = e->seen.epoch,
        .pages = e->seen.pages[XHA_PAGE_ZERO] + e->seen.pages[XHA_PAGE_SAME] + e->seen.pages[XHA_PAGE_DELTA] +
                 e->seen.pages[XHA_PAGE_LITERAL],
        .raw_bytes = e->seen.raw_bytes,
        .sent_bytes = e->seen.sent_bytes,
        .suspend_us = s->gated_us - s->asked_us,
        .gate_us = s->gated_us - s->suspended_us,
        .scan_us = first_us - s->gated_us,
        .copy_us = s->copied_us - first_us,
        .resume_us = s->resumed_us - s->copied_us,
        .commit_us = e->acked_us - s->resumed_us,
        .interval_us = xha_interval_us(&s->interval),
    };

    xha_sender_gate_measure(&s->gate, &line);
    xha_job_tell_epoch(STDOUT_FILENO, &line);
}

/* The epoch ends; what the guest sent in it goes out when the backup has said that it holds it. 0, or -1 with why. */
static int commit(struct xha_sender *s)
{
    struct xha_out_epoch epoch;
    char err[XHA_GATE_TEXT];

    if (put_record(s, XL_REC_CHECKPOINT_END) < 0) {
        ended(s, xha_out_rest(s->out, 0, err, sizeof(err)) < 0 ? err : "the stream cannot be written");
        return -1;
    }
    if (xha_out_await(s->out, s->epoch, &epoch, err, sizeof(err)) < 0 ||
        xha_sender_gate_commit(&s->gate, err, sizeof(err)) < 0 ||
        (s->disks && xha_gate_out_committed(s->disks, s->epoch, err, sizeof(err)) < 0)) {
        ended(s, err);
        return -1;
    }
    atomic_store(&s->is_protected, true);
    xha_interval_epoch(&s->interval, s->resumed_us - s->asked_us);
    tell_epoch(s, &epoch);
    s->epoch++;
    return 0;
}

static int on_checkpoint(void *arg)
{
    struct xha_sender *s = arg;
    char err[XHA_ANSWER_TEXT];

    if (commit(s) < 0)
        return 0;
    if (xha_out_rest(s->out, s->resumed_us + xha_interval_us(&s->interval), err, sizeof(err)) < 0)
        return ended(s, err);
    return xha_work_stop(s->w) ? ended(s, "told to stop") : 1;
}

void xha_sender_tell(void *arg, const struct xha_out_told *told)
{
    struct xha_sender *s = arg;
    const int64_t now_ms = xha_now_ms(), past_ms = now_ms - s->began_ms;
    const uint64_t memory = s->hello.memory_kib / 4, disks = atomic_load(&s->disk_total);
    const uint64_t total = memory + disks;
    const uint64_t done = (told->pages < memory ? told->pages : memory) + disks - atomic_load(&s->disk_todo);
    struct xha_job_pace pace = { .wire_bytes = told->wire_bytes,
                                 .eta_ms = -1,
                                 .round = atomic_load(&s->round) };

    if (!atomic_load(&s->is_protected)) {
        if (past_ms > 0)
            pace.bytes_per_s = told->wire_bytes * 1000 / (uint64_t)past_ms;
        if (past_ms > 0 && done > 0)
            pace.eta_ms = (int64_t)((total - done) * (uint64_t)past_ms / done);
        xha_job_progress_pace(STDOUT_FILENO, "synchronising", done, total, &pace);
    } else if (now_ms - s->told_ms >= TELL_MS) { /* xhad may be another one by now */
        xha_job_progress(STDOUT_FILENO, "protected", told->acked, told->acked);
        s->told_ms = now_ms;
    }
}

/* ---- libxc ---- */

/* For libxc, which wants it for guests without a device model, too. */
static int on_logdirty(uint32_t domid, unsigned enable, void *arg)
{
    (void)domid;
    (void)enable;
    (void)arg;
    return 0;
}

static int put_header(struct xha_sender *s)
{
    const uint32_t header[4] = { htobe32(XL_IDENT >> 32), htobe32((uint32_t)XL_IDENT), htobe32(XL_VERSION),
                                 XL_OPTIONS_PLAIN };

    return xha_write_all(s->stream_fd, header, sizeof(header)) < 0 ? -1 : put_record(s, XL_REC_LIBXC_CONTEXT);
}

/* Gated disks come first: as long as that takes, the guest runs without a pause, and answers at once. */
static int sync_disks(struct xha_sender *s)
{
    char err[XHA_ANSWER_TEXT];
    uint64_t todo, total;

    while (s->disks && !xha_gate_out_is_synced(s->disks, &todo, &total)) {
        atomic_store(&s->disk_total, total / XHA_PAGE_BYTES);
        atomic_store(&s->disk_todo, (todo < total ? todo : total) / XHA_PAGE_BYTES);
        if (xha_out_rest(s->out, now_us() + DISKS_US, err, sizeof(err)) < 0) {
            ended(s, err);
            return -1;
        }
        if (xha_work_stop(s->w)) {
            ended(s, "told to stop");
            return -1;
        }
    }
    atomic_store(&s->disk_todo, 0);
    return 0;
}

void xha_sender_loop(struct xha_sender *s)
{
    struct save_callbacks callbacks = {
        .suspend = on_suspend,
        .precopy_policy = on_precopy,
        .postcopy = on_copied,
        .checkpoint = on_checkpoint,
        .switch_qemu_logdirty = on_logdirty,
        .data = s,
    };
    xc_interface *xch = xc_interface_open(&s->w->lx.log, &s->w->lx.log, 0);
    char err[XHA_ANSWER_TEXT];

    if (!xch) {
        ended(s, "libxc cannot be opened");
        return;
    }
    xha_lx_forget(&s->w->lx);
    s->w->lx.quiet = true;
    s->epoch = 1;
    if (sync_disks(s) == 0 && put_header(s) == 0)
        xc_domain_save(xch, s->stream_fd, s->domid, XCFLAGS_LIVE, &callbacks, XC_STREAM_REMUS, -1);
    if (xha_out_rest(s->out, 0, err, sizeof(err)) < 0) /* what libxc says comes from this */
        ended(s, err);
    ended(s, xha_work_stop(s->w) ? "told to stop" : xha_lx_error(&s->w->lx));
    xc_interface_close(xch);
}
