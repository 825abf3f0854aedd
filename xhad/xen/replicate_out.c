/*
 * replicate_out.c - the verb replicate-out: the sender of a replicated domain (see replicate_loop.c for its epochs).
 *
 * Whatever ends it, the guest runs on here, and mute: what it sent since its last committed epoch is held by its gate,
 * which stays shut, because who may speak for the domain is decided elsewhere.
 */
#include "xhad/xen/replicate_out.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/suspend.h"
#include "xhad/base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AGREE_MS        10000
#define INTERVAL_MIN_MS 20
#define INTERVAL_MAX_MS 1000
#define PAUSE_PERMILLE  100
#define SILENCE_MS      500
#define COPIES_MIB      256
#define HELD_MIB        64

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value ? value : standard;
}

/* ---- before: the guest runs untouched ---- */

static const libxl_device_disk *writable_disk(const libxl_domain_config *config)
{
    for (int i = 0; i < config->num_disks; i++)
        if (config->disks[i].readwrite && !config->disks[i].is_cdrom)
            return &config->disks[i];
    return NULL;
}

/* 0, or -1 with a text in why. */
static int check_disks(struct xha_sender *s, char *why, size_t why_len)
{
    const char *rule = s->w->job.replica.disks;
    const libxl_device_disk *disk = writable_disk(&s->config);

    if (strcmp(rule, "unsafe") == 0)
        return 0;
    if (strcmp(rule, "gated") == 0) {
        if (xha_disks_gated(&s->config, &s->gated, &disk, why, why_len) < 0)
            return -1;
        if (disk)
            snprintf(
                why, why_len,
                "its disk %s is writable, and not gated: attach it with xha-disk on every host, and name it "
                "phy:" XHA_GATE_DEVICES "NAME in the domain's configuration",
                disk->vdev ? disk->vdev : "?");
    } else if (disk) {
        snprintf(
            why, why_len,
            "its disk %s is writable, and what it writes there would not be that of the last epoch. Make the "
            "disk read-only, or gate it (xha-disk(8)) and say disks = \"gated\" in the policy's replication, "
            "or "
            "say disks = \"unsafe\"",
            disk->vdev ? disk->vdev : "?");
    }
    return disk ? -1 : 0;
}

/* 0, or -1 with a text in why. */
static int check(struct xha_sender *s, const libxl_dominfo *info, char *why, size_t why_len)
{
    if (s->config.c_info.type == LIBXL_DOMAIN_TYPE_HVM)
        snprintf(why, why_len,
                 "it is an HVM guest, whose device model is not replicated; PVH guests are (type = \"pvh\")");
    else if (s->config.c_info.type == LIBXL_DOMAIN_TYPE_PV && !xha_suspend_can_live(&s->w->lx, info))
        snprintf(
            why, why_len,
            "it is a PV guest, and this Xen was built without shadow paging, so it cannot track which pages "
            "such a guest changes; PVH guests can be replicated (type = \"pvh\")");
    else if (!xha_suspend_can_live(&s->w->lx, info))
        snprintf(
            why, why_len,
            "this Xen cannot track which pages a guest changes: the processor has no HAP, or it is switched "
            "off");
    else
        return check_disks(s, why, why_len);
    return -1;
}

/* 0, or -1 after answering. */
static int look(struct xha_sender *s)
{
    struct xha_work *w = s->w;
    libxl_dominfo info;
    char why[XHA_GATE_TEXT];

    if (xha_work_domain(w, &info) < 0)
        return -1;
    if (info.dying || info.shutdown || info.paused) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s cannot be replicated: it does not run", w->who);
        return -1;
    }
    s->domid = info.domid;
    s->config_json = xha_config_of_domain(w, s->domid, &s->config);
    if (!s->config_json) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s cannot be replicated: its configuration cannot be had from libxl: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
    if (check(s, &info, why, sizeof(why)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s cannot be replicated: %s", w->who, why);
        return -1;
    }
    s->hello = (struct xha_hello){
        .version = XHA_WIRE_VERSION,
        .kind = XHA_HELLO_REPLICA,
        .move_id = w->job.move.id,
        .uuid = w->job.uuid,
        .memory_kib = info.current_memkb,
        .mode = "live",
    };
    memcpy(s->hello.name, w->job.name, sizeof(s->hello.name));
    return 0;
}

static int meet(struct xha_sender *s)
{
    struct xha_work *w = s->w;
    const struct xha_job_replica *r = &w->job.replica;
    const struct xha_terms wanted = {
        .silence_ms = or_default(r->silence_ms, SILENCE_MS),
        .slots = or_default(r->copies_mib, COPIES_MIB) * (1u << 20) / XHA_PAGE_BYTES,
    };
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[XHA_ANSWER_TEXT];

    xha_job_progress(STDOUT_FILENO, "connecting", 0, 1);
    if (xha_talk_connect(&s->talk, &s->wire, err, sizeof(err)) == 0 &&
        xha_talk_offer(&s->talk, s->wire, &s->hello, s->config_json, &refusal, err, sizeof(err)) == 0 &&
        xha_out_agree(s->wire, &wanted, xha_now_ms() + AGREE_MS, &s->terms, err, sizeof(err)) == 0)
        return 0;
    xha_work_refuse(w, refusal, "%s has no backup and runs on: %s", w->who, err);
    return -1;
}

/* ---- after ---- */

static void answer(struct xha_sender *s, const struct xha_out_stats *stats)
{
    struct xha_work *w = s->w;
    const bool mute = s->gate.shut;
    char err[XHA_GATE_TEXT];

    if (xha_sender_gate_leave(&s->gate, err, sizeof(err)) < 0)
        xha_work_warn(w, "%s", err);
    xha_suspend_end_log(s->domid);
    if (xha_suspend_undo(w, s->domid, s->pauser.asked ? xha_suspend_settle_ms() : 0) < 0)
        xha_work_unknown(w, "%s is not replicated any more (%s) and may stand still: %s", w->who, s->why,
                         xha_lx_error(&w->lx));
    else
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s is not replicated any more: %s; epoch %" PRIu64 " is the last%s", w->who, s->why,
                        stats->acked, mute ? ", and its network gate stays shut" : "");
    w->done.data = json_pack("{s:I, s:I, s:I, s:I, s:b, s:b}", "epoch", (json_int_t)stats->acked,
                             "wire_bytes", (json_int_t)stats->wire_bytes, "tank_bytes",
                             (json_int_t)stats->tank.bytes_most, "copies_bytes",
                             (json_int_t)stats->shadow.bytes, "mute", mute, "asked", xha_work_told_to_stop());
}

static void stream(struct xha_sender *s)
{
    struct xha_work *w = s->w;
    const struct xha_out_plan plan = {
        .wire = s->wire,
        .beside = s->disks ? &s->beside : NULL,
        .terms = s->terms,
        .tank_bytes = (uint64_t)or_default(w->job.replica.held_mib, HELD_MIB) << 20,
        .tell = xha_sender_tell,
        .arg = s,
    };
    struct xha_out_stats stats;
    char err[XHA_GATE_TEXT];
    int rc;

    s->began_ms = xha_now_ms();
    rc = xha_out_start(&plan, &s->out, &s->stream_fd);
    if (rc < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not replicated: %s", w->who, strerror(errno));
        if (xha_sender_gate_leave(&s->gate, err, sizeof(err)) < 0)
            xha_work_warn(w, "%s", err);
        return;
    }
    xha_sender_loop(s);
    xha_out_finish(s->out, &stats);
    xha_gate_out_close(xha_steal_ptr(s->disks));
    xha_wire_free(xha_steal_ptr(s->wire)); /* the backup learns it by this */
    answer(s, &stats);
}

/* 0, or -1 with a text in err. */
static int open_disks(struct xha_sender *s, char *err, size_t err_len)
{
    if (s->gated.n == 0)
        return 0;
    if (xha_gate_out_open(XHA_GATE_SOCKETS, &s->gated, &s->disks, err, err_len) < 0)
        return -1;
    s->beside = xha_disks_out_beside(s->disks);
    return 0;
}

static void replicate(struct xha_sender *s)
{
    struct xha_work *w = s->w;
    const struct xha_job_replica *r = &w->job.replica;
    const struct xha_interval_conf conf = {
        .min_us = (int64_t)or_default(r->interval_min_ms, INTERVAL_MIN_MS) * 1000,
        .max_us = (int64_t)or_default(r->interval_max_ms, INTERVAL_MAX_MS) * 1000,
        .max_pause_permille = or_default(r->max_pause_permille, PAUSE_PERMILLE),
    };
    char err[XHA_GATE_TEXT];

    if (conf.min_us > conf.max_us) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED,
                        "%s is not replicated: the shortest interval is the longer one", w->who);
        return;
    }
    xha_interval_init(&s->interval, &conf);
    if (open_disks(s, err, sizeof(err)) < 0 || xha_pauser_open(&s->pauser, s->domid, err, sizeof(err)) < 0 ||
        xha_sender_gate_set_up(&s->gate, s->domid, &s->config, r->queue_max_kib, err, sizeof(err)) < 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not replicated: %s", w->who, err);
    else
        stream(s);
}

void xha_perform_replicate_out(struct xha_work *w)
{
    struct xha_sender s = {
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };

    libxl_domain_config_init(&s.config);
    if (look(&s) == 0 && meet(&s) == 0)
        replicate(&s);
    xha_gate_out_close(s.disks);
    xha_pauser_close(&s.pauser);
    xha_wire_free(s.wire);
    free(s.config_json);
    libxl_domain_config_dispose(&s.config);
}
