/*
 * trace.c - writing and replaying traces of the core. The file is a header and records of fixed structs; it
 * is hostile until checked, as any file, and the core refuses what makes no sense in an event.
 */
#include "config.h"
#include "xhad/ctl/trace.h"
#include "xhad/base/log.h"
#include "xhad/base/uuid.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct header {
    char magic[16];
    char version[16];
    uint32_t event_bytes, policy_bytes, record_bytes, action_bytes;
    struct xha_settings settings;
    uint64_t next_id;
};

struct step {
    struct xha_event ev; /* its pointers mean nothing in a file */
    bool has_policy, has_record;
    uint64_t plan_hash;
};

struct xha_trace {
    FILE *file;
    bool broken;
};

static void fill_header(struct header *h, const struct xha_settings *settings, uint64_t next_id)
{
    memset(h, 0, sizeof *h);
    snprintf(h->magic, sizeof h->magic, "xhad core trace");
    snprintf(h->version, sizeof h->version, "%s", PACKAGE_VERSION);
    h->event_bytes = sizeof(struct xha_event);
    h->policy_bytes = sizeof(struct xha_policy);
    h->record_bytes = sizeof(struct xha_record);
    h->action_bytes = sizeof(struct xha_action);
    if (settings)
        h->settings = *settings;
    h->next_id = next_id;
}

static uint64_t hash(const struct xha_plan *plan)
{
    return XXH3_64bits(plan->action, plan->n * sizeof plan->action[0]) ^ (uint64_t)plan->next.ms ^
           (uint64_t)plan->more << 63;
}

static bool carries_policy(const struct xha_event *ev)
{
    return ev->type == XHA_EV_PROTECT || ev->type == XHA_EV_RECALL || ev->type == XHA_EV_TAKE ||
           ev->type == XHA_EV_INCOMING;
}

/* ---- writing ---- */

int xha_trace_open(const char *path, const struct xha_settings *settings, uint64_t next_id,
                   struct xha_trace **trace_r)
{
    struct xha_trace *t = calloc(1, sizeof *t);
    struct header h;

    if (!t)
        return -1;
    t->file = fopen(path, "wxe");
    if (!t->file) {
        free(t);
        return -1;
    }
    fill_header(&h, settings, next_id);
    fwrite(&h, sizeof h, 1, t->file);
    *trace_r = t;
    return 0;
}

void xha_trace_step(struct xha_trace *t, const struct xha_event *ev, const struct xha_plan *plan)
{
    struct step s;

    if (!t || t->broken)
        return;
    memset(&s, 0, sizeof s);
    s.ev = *ev;
    s.has_policy = carries_policy(ev) && ev->u.protect.policy;
    s.has_record = ev->type == XHA_EV_RECALL && ev->u.protect.record;
    s.plan_hash = hash(plan);
    fwrite(&s, sizeof s, 1, t->file);
    if (s.has_policy)
        fwrite(ev->u.protect.policy, sizeof *ev->u.protect.policy, 1, t->file);
    if (s.has_record)
        fwrite(ev->u.protect.record, sizeof *ev->u.protect.record, 1, t->file);
    if (fflush(t->file)) {
        xha_log(XHA_LOG_WARNING, "the trace ends here", XHA_S("error", strerror(errno)));
        t->broken = true;
    }
}

void xha_trace_close(struct xha_trace *t)
{
    if (!t)
        return;
    fclose(t->file);
    free(t);
}

/* ---- replaying ---- */

struct player {
    FILE *in, *out;
    struct xha_core *core;
    struct xha_plan plan;
    struct xha_policy policy;
    struct xha_record record;
    uint64_t step;
    int64_t began_ms;
};

static int open_trace(struct player *p, const char *path, char *err, size_t err_len)
{
    struct header h, mine;
    int rc;

    p->in = fopen(path, "re");
    if (!p->in) {
        snprintf(err, err_len, "%s: %s", path, strerror(errno));
        return -1;
    }
    fill_header(&mine, NULL, 0);
    if (fread(&h, sizeof h, 1, p->in) != 1 || memcmp(&h, &mine, offsetof(struct header, settings)) != 0) {
        snprintf(err, err_len, "%s: not a trace of xhad %s on this kind of machine", path, PACKAGE_VERSION);
        return -1;
    }
    rc = xha_core_new(&h.settings, h.next_id, &p->core);
    if (rc)
        snprintf(err, err_len, "%s: its settings cannot be used: %s", path, xha_core_error_text(rc));
    return rc ? -1 : 0;
}

/* 1: a step was read; 0: the end, also a torn one; what was in flight when xhad died. */
static int read_step(struct player *p, struct step *s)
{
    if (fread(s, sizeof *s, 1, p->in) != 1)
        return 0;
    if (carries_policy(&s->ev)) {
        s->ev.u.protect.policy = NULL;
        s->ev.u.protect.record = NULL;
        s->ev.u.protect.name[XHA_NAME_MAX - 1] = '\0';
    }
    if (s->has_policy) {
        if (!carries_policy(&s->ev) || fread(&p->policy, sizeof p->policy, 1, p->in) != 1)
            return 0;
        s->ev.u.protect.policy = &p->policy;
    }
    if (s->has_record) {
        if (s->ev.type != XHA_EV_RECALL || fread(&p->record, sizeof p->record, 1, p->in) != 1)
            return 0;
        s->ev.u.protect.record = &p->record;
    }
    return 1;
}

static void tell(struct player *p, const struct xha_action *a, struct xha_time now)
{
    struct xha_view view;
    char why[200], uuid[XHA_UUID_TEXT];
    const char *name =
        xha_core_find(p->core, &a->uuid, &view) == 0 ? view.name : xha_uuid_format(&a->uuid, uuid);
    double at_s = (double)(now.ms - p->began_ms) / 1000;

    xha_cause_text(a->cause, a->detail, why, sizeof why);
    if (a->type == XHA_ACT_NOTE)
        fprintf(p->out, "%10.3f  %s: %s -> %s: %s\n", at_s, name, xha_state_name(a->u.note.from),
                xha_state_name(a->u.note.to), why);
    else if (a->type == XHA_ACT_ALARM)
        fprintf(p->out, "%10.3f  %s: %s alarm: %s\n", at_s, name, xha_severity_name(a->u.alarm.severity),
                why);
    else if (a->id)
        fprintf(p->out, "%10.3f  %s: %s (action %llu, term %llu)\n", at_s, name, xha_action_name(a->type),
                (unsigned long long)a->id, (unsigned long long)a->term);
}

static int play(struct player *p)
{
    struct step s;

    while (read_step(p, &s)) {
        if (!p->step++)
            p->began_ms = s.ev.now.ms;
        xha_core_step(p->core, &s.ev, &p->plan);
        for (uint32_t i = 0; i < p->plan.n; i++)
            tell(p, &p->plan.action[i], s.ev.now);
        if (hash(&p->plan) != s.plan_hash) {
            fprintf(p->out, "step %llu differs from the one recorded\n", (unsigned long long)p->step);
            return 1;
        }
    }
    fprintf(p->out, "%llu steps, every plan as recorded\n", (unsigned long long)p->step);
    return 0;
}

int xha_trace_replay(const char *path, FILE *out, char *err, size_t err_len)
{
    struct player *p = calloc(1, sizeof *p);
    int r = -1;

    if (!p) {
        snprintf(err, err_len, "no memory");
        return -1;
    }
    p->out = out;
    if (open_trace(p, path, err, err_len) == 0)
        r = play(p);
    if (p->in)
        fclose(p->in);
    xha_core_free(p->core);
    free(p);
    return r;
}
