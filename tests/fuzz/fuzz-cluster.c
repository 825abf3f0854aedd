/*
 * Messages of the cluster from a hostile peer: what is refused changes nothing, what is taken leaves a state that is
 * sound and can be sent on, and what can be read is written again as the same bytes.
 *
 * Input: messages, each a byte of how (1: its magic, version, epoch and length are put right), two bytes of length,
 * then as many bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/core/cl_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 21 /* magic, version, type, epoch, length */
#define SENT 64

static struct xha_cluster_plan plan;
static struct xha_cluster *core;
static struct {
    size_t len;
    uint8_t bytes[XHA_MESSAGE_MAX];
} sent[SENT];
static uint32_t n_sent;
static uint64_t stored;
static int64_t now_ms;

static void carry_out(void)
{
    for (uint32_t i = 0; i < plan.n; i++) {
        const struct xha_cluster_action *a = &plan.action[i];

        if (a->type == XHA_CACT_STORE)
            stored = a->index;
        if (a->type != XHA_CACT_SEND || n_sent == SENT)
            continue;
        if (a->u.bytes.len > XHA_MESSAGE_MAX)
            abort();
        sent[n_sent].len = a->u.bytes.len;
        memcpy(sent[n_sent++].bytes, a->u.bytes.at, a->u.bytes.len);
    }
}

static int step(struct xha_cluster_event *ev)
{
    struct xha_cluster_event tick = { .type = XHA_CEV_TICK, .now = { now_ms } };
    int rc;

    ev->now.ms = now_ms;
    rc = xha_cluster_step(core, ev, &plan);
    carry_out();
    for (int i = 0; plan.more && i < 100; i++) {
        xha_cluster_step(core, &tick, &plan);
        carry_out();
    }
    return rc;
}

static int deliver(uint8_t from, const uint8_t *bytes, size_t len)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE };

    ev.u.message.from = from;
    ev.u.message.bytes = bytes;
    ev.u.message.len = len;
    return step(&ev);
}

/* What this host has sent comes back to it, and its disk answers; a few rounds are enough. */
static void settle(void)
{
    static uint8_t bytes[XHA_MESSAGE_MAX];

    for (int i = 0; i < 40; i++) {
        struct xha_cluster_event ev = { .type = XHA_CEV_STORED, .u.stored = stored };
        size_t len;

        step(&ev);
        if (!n_sent)
            return;
        len = sent[0].len;
        memcpy(bytes, sent[0].bytes, len);
        memmove(&sent[0], &sent[1], --n_sent * sizeof sent[0]);
        if (deliver(0, bytes, len))
            abort();
    }
}

static void peer_says(struct cl_message *m, enum cl_type type)
{
    static uint8_t bytes[XHA_MESSAGE_MAX];
    struct cl_wire w = cl_writer(bytes, sizeof bytes);

    m->type = type;
    m->epoch = core->st->rank.epoch;
    if (!xha_cl_encode(m, &w) || deliver(1, bytes, w.pos))
        abort();
    settle();
}

/* Two hosts in one epoch, each with a domain. */
static void begin(void)
{
    struct xha_cluster_settings set = { .self = 0, .max_domains = 8, .log_max = 1000 };
    struct xha_cluster_event ev = { .type = XHA_CEV_INFO };
    struct cl_message *m = calloc(1, sizeof *m);

    n_sent = 0;
    stored = 0;
    now_ms = 1000;
    if (!m || xha_cluster_new(&set, &core))
        abort();
    snprintf(ev.u.info.name, sizeof ev.u.info.name, "a");
    ev.u.info.incarnation.boot.b[0] = 1;
    ev.u.info.memory_kib = 1 << 24;
    step(&ev);
    ev = (struct xha_cluster_event){ .type = XHA_CEV_QUORUM };
    ev.u.quorum.quorate = ev.u.quorum.exclusive = true;
    step(&ev);
    ev = (struct xha_cluster_event){ .type = XHA_CEV_VIEW };
    ev.u.view = (struct xha_view_change){ .id = 7, .members = 3, .nodes = 3 };
    step(&ev);
    settle();
    m->u.hello.view = 7;
    m->u.hello.max_domains = 8;
    m->u.hello.quorate = true;
    m->u.hello.hash = xha_cl_hash_all(core->st);
    m->u.hello.info.incarnation.boot.b[0] = 2;
    m->u.hello.info.memory_kib = 1 << 24;
    m->u.hello.info.name[0] = 'b';
    peer_says(m, CL_HELLO);
    now_ms += CL_HOLD_MS; /* before that nobody founds a cluster */
    ev = (struct xha_cluster_event){ .type = XHA_CEV_TICK };
    step(&ev);
    settle();
    memset(m, 0, sizeof *m);
    m->u.ready.view = 7;
    m->u.ready.epoch = 1;
    peer_says(m, CL_READY);
    for (uint8_t d = 0; d < 2; d++) {
        memset(m, 0, sizeof *m);
        m->u.request.number = d + 1u;
        m->u.request.what = XHA_RQ_PROTECT;
        m->uuid.b[0] = d;
        m->u.request.host = d;
        m->u.request.name[0] = (char)('c' + d);
        m->u.request.policy.memory_kib = 1024;
        m->u.request.needs.relocate = true;
        peer_says(m, CL_REQUEST);
    }
    if (!xha_cl_synced(core) || core->st->n != 2)
        abort();
    free(m);
}

static void same_again(const uint8_t *bytes, size_t len)
{
    static uint8_t again[XHA_MESSAGE_MAX];
    static struct cl_message m;
    struct cl_wire w = cl_writer(again, sizeof again);
    uint32_t version;

    if (xha_cl_decode(bytes, len, &m, &version))
        return;
    if (!xha_cl_encode(&m, &w) || w.pos != len || memcmp(again, bytes, len))
        abort();
}

static void one(uint8_t how, const uint8_t *data, size_t len)
{
    static uint8_t bytes[XHA_MESSAGE_MAX];
    uint64_t hash = xha_cl_hash_all(core->st), index = core->st->rank.index;

    if (len > sizeof bytes)
        len = sizeof bytes;
    memcpy(bytes, data, len);
    if (how & 1 && len >= HEAD) {
        struct cl_wire w = cl_writer(bytes, HEAD);
        uint32_t magic = 0x4c434858u, version = XHA_WIRE_VERSION, rest = (uint32_t)len - HEAD;
        uint64_t epoch = core->st->rank.epoch;
        uint8_t type = bytes[8];

        xha_cl_w32(&w, &magic);
        xha_cl_w32(&w, &version);
        xha_cl_w8(&w, &type);
        xha_cl_w64(&w, &epoch);
        xha_cl_w32(&w, &rest);
    }
    same_again(bytes, len);
    if (deliver(1, bytes, len) && (hash != xha_cl_hash_all(core->st) || index != core->st->rank.index))
        abort();
    settle();
    xha_cluster_audit(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    while (size > 3) {
        size_t len = (size_t)(data[1] | data[2] << 8);

        if (len > size - 3)
            len = size - 3;
        one(data[0], data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    xha_cluster_free(core);
    core = NULL;
    return 0;
}
