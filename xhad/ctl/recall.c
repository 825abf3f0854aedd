/*
 * recall.c - a new xhad takes up what an earlier one left: records, domains, workers.
 *
 * After a boot of the host nothing runs of what ran before: records come back without domain and deed, or a
 * domid that has been given anew would be taken for ours.
 *
 * Every domain comes back to the core as it was persisted. A deed that was under way is then heard of in one
 * of three ways: its worker is adopted and answers; its answer lies there; or nothing of it is left, which is
 * UNKNOWN.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

static void on_bad(void *user, const char *uuid, const char *text)
{
    struct xha_daemon *d = user;
    char line[512];

    snprintf(line, sizeof line,
             "the domain %s cannot be taken up again and is not protected: %.380s. Protect it anew", uuid,
             text);
    xha_step_alarm(d, "policy", XHA_SEV_CRITICAL, NULL, line);
}

static void recall_one(void *user, const struct xha_uuid *uuid, const struct xha_record *record)
{
    struct xha_daemon *d = user;
    struct xha_domain *dom = xha_domains_find(&d->domains, uuid);
    struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = *uuid };
    char text[XHA_UUID_TEXT];
    int rc;

    if (!dom) {
        xha_log(XHA_LOG_WARNING, "a domain in the journal has no directory: it is not protected",
                XHA_S("uuid", xha_uuid_format(uuid, text)));
        return;
    }
    ev.u.protect.policy = &dom->spec.policy;
    ev.u.protect.record = record;
    memcpy(ev.u.protect.name, dom->name, sizeof ev.u.protect.name);
    rc = xha_step(d, &ev);
    if (rc)
        xha_step_alarm(d, "policy", XHA_SEV_CRITICAL, dom, xha_core_error_text(rc));
}

/* Copies, because a step may change the store. */
struct copy {
    struct xha_uuid *uuid;
    struct xha_record *record;
    size_t n, room;
    bool new_boot;
};

static void copy_one(void *user, const struct xha_uuid *uuid, const struct xha_record *record)
{
    struct copy *copy = user;

    if (copy->n == copy->room) {
        copy->room = copy->room ? 2 * copy->room : 64;
        copy->uuid = realloc(copy->uuid, copy->room * sizeof *copy->uuid);
        copy->record = realloc(copy->record, copy->room * sizeof *copy->record);
        if (!copy->uuid || !copy->record)
            abort();
    }
    copy->uuid[copy->n] = *uuid;
    copy->record[copy->n] = *record;
    if (copy->new_boot) {
        copy->record[copy->n].domid = XHA_DOMID_OLD;
        copy->record[copy->n].pending = XHA_ACT_NONE;
        copy->record[copy->n].pending_id = 0;
        copy->record[copy->n].repl_deed = 0;
    }
    copy->n++;
}

/* Stored on disk but not in the journal: protection was cut short by a crash before the core heard of it. */
static void protect_the_rest(struct xha_daemon *d)
{
    for (size_t i = 0; i < d->domains.n; i++) {
        struct xha_domain *dom = d->domains.domain[i];
        struct xha_event ev = { .type = XHA_EV_PROTECT, .uuid = dom->uuid };
        struct xha_view view;

        if (xha_core_find(d->core, &dom->uuid, &view) == 0)
            continue;
        ev.u.protect.policy = &dom->spec.policy;
        memcpy(ev.u.protect.name, dom->name, sizeof ev.u.protect.name);
        if (xha_step(d, &ev) == XHA_CORE_E_FULL)
            xha_step_alarm(d, "policy", XHA_SEV_CRITICAL, dom,
                           "max_domains is reached: this domain is not protected");
    }
}

static void answer_lost_deed(struct xha_daemon *d, const struct xha_uuid *uuid, uint64_t id)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = *uuid };

    if (!id || xha_jobs_has(d->jobs, id))
        return;
    ev.u.done.id = id;
    ev.u.done.result = XHA_UNKNOWN;
    ev.u.done.domid = XHA_DOMID_NONE;
    xha_step(d, &ev);
}

/* The one that it was in, and the one beside. */
static void answer_lost_deeds(struct xha_daemon *d, const struct copy *copy)
{
    for (size_t i = 0; i < copy->n; i++) {
        const struct xha_record *r = &copy->record[i];

        if (r->pending)
            answer_lost_deed(d, &copy->uuid[i], r->pending_id);
        answer_lost_deed(d, &copy->uuid[i], r->repl_deed);
    }
}

void xha_daemon_recall(struct xha_daemon *d)
{
    struct copy copy = { .new_boot = xha_store_is_new_boot(d->store) };

    xha_domains_load(&d->domains, on_bad, d);
    for (size_t i = 0; d->peers && i < d->domains.n; i++)
        xha_texts_digest(d->peers, d->domains.domain[i]);
    xha_store_each(d->store, copy_one, &copy);
    for (size_t i = 0; i < copy.n; i++)
        recall_one(d, &copy.uuid[i], &copy.record[i]);
    if (!d->peers)
        protect_the_rest(d);
    xha_jobs_adopt(d->jobs, xha_step_done, d);
    answer_lost_deeds(d, &copy);
    free(copy.uuid);
    free(copy.record);
}
