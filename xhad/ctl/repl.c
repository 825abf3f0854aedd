/*
 * repl.c - the table of what senders have said. So few domains are replicated by one host that it is searched from the
 * start.
 */
#include "xhad/ctl/repl.h"
#include "xhad/base/uuid.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_AGAIN 2 /* said so often: it is not the moment between an end of the pair and the word of it */

struct xha_repls {
    struct xha_repl_domain **domain;
    size_t n, room;
};

struct xha_repls *xha_repls_new(void)
{
    return calloc(1, sizeof(struct xha_repls));
}

void xha_repls_free(struct xha_repls *repls)
{
    if (!repls)
        return;
    for (size_t i = 0; i < repls->n; i++)
        free(repls->domain[i]);
    free(repls->domain);
    free(repls);
}

const struct xha_repl_domain *xha_repls_find(const struct xha_repls *repls, const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < repls->n; i++)
        if (xha_uuid_equal(&repls->domain[i]->uuid, uuid))
            return repls->domain[i];
    return NULL;
}

void xha_repls_forget(struct xha_repls *repls, const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < repls->n; i++) {
        if (!xha_uuid_equal(&repls->domain[i]->uuid, uuid))
            continue;
        free(repls->domain[i]);
        repls->domain[i] = repls->domain[--repls->n];
        return;
    }
}

const struct xha_repl_epoch *xha_repls_newest(const struct xha_repl_domain *domain, uint64_t i)
{
    if (i >= domain->epochs || i >= XHA_REPL_EPOCHS)
        return NULL;
    return &domain->epoch[(domain->epochs - 1 - i) % XHA_REPL_EPOCHS];
}

/* Made where there is none. NULL: no memory; a table for those who look on is not worth an end. */
static struct xha_repl_domain *entry_of(struct xha_repls *repls, const struct xha_uuid *uuid)
{
    struct xha_repl_domain *domain;

    for (size_t i = 0; i < repls->n; i++)
        if (xha_uuid_equal(&repls->domain[i]->uuid, uuid))
            return repls->domain[i];
    if (repls->n == repls->room) {
        size_t room = repls->room ? 2 * repls->room : 16;
        struct xha_repl_domain **grown = reallocarray(repls->domain, room, sizeof *grown);

        if (!grown)
            return NULL;
        repls->domain = grown;
        repls->room = room;
    }
    domain = calloc(1, sizeof *domain);
    if (!domain)
        return NULL;
    domain->uuid = *uuid;
    repls->domain[repls->n++] = domain;
    return domain;
}

static struct xha_repl_domain *sender(struct xha_repls *repls, const struct xha_job *job)
{
    struct xha_repl_domain *domain = entry_of(repls, &job->uuid);

    if (domain && (domain->pair != job->move.id || !domain->sending)) {
        domain->pair = job->move.id;
        domain->done = domain->total = 0;
        domain->pace = (struct xha_job_pace){ .eta_ms = -1 };
        domain->sending = true;
    }
    return domain;
}

void xha_repls_sync(struct xha_repls *repls, const struct xha_job *job, uint64_t done, uint64_t total,
                    const struct xha_job_pace *pace)
{
    struct xha_repl_domain *domain = sender(repls, job);

    if (!domain)
        return;
    domain->done = done;
    domain->total = total;
    if (pace)
        domain->pace = *pace;
}

/* What is new of the sender's count. Of one that was at it before this xhad, it is not known when they were dropped. */
static void count_drops(struct xha_repl_domain *domain, const struct xha_job_epoch *e, bool first)
{
    if (first)
        domain->drops_seen = e->number > 1 ? e->dropped_packets : 0;
    if (e->dropped_packets > domain->drops_seen)
        domain->dropped_packets += e->dropped_packets - domain->drops_seen;
    domain->drops_seen = e->dropped_packets;
}

static uint64_t drops_to_tell(struct xha_repl_domain *domain, struct xha_time now)
{
    uint64_t drops = domain->dropped_packets - domain->drops_told;

    if (!drops || (domain->told.ms && now.ms - domain->told.ms < XHA_REPL_DROPS_MS))
        return 0;
    domain->drops_told = domain->dropped_packets;
    domain->told = now;
    return drops;
}

uint64_t xha_repls_epoch(struct xha_repls *repls, const struct xha_job *job,
                         const struct xha_job_epoch *epoch, struct xha_time now, int64_t wall_ms)
{
    struct xha_repl_domain *domain = sender(repls, job);
    const struct xha_repl_epoch *last;

    if (!domain)
        return 0;
    last = xha_repls_newest(domain, 0);
    count_drops(domain, epoch, !last || last->pair != domain->pair);
    domain->ended[0] = '\0';
    domain->pages += epoch->pages;
    domain->raw_bytes += epoch->raw_bytes;
    domain->sent_bytes += epoch->sent_bytes;
    domain->pause_us += xha_repls_pause_us(epoch);
    domain->commit_us += epoch->commit_us;
    domain->epoch[domain->epochs++ % XHA_REPL_EPOCHS] =
        (struct xha_repl_epoch){ .said = *epoch, .pair = job->move.id, .heard = now, .wall_ms = wall_ms };
    return drops_to_tell(domain, now);
}

void xha_repls_end(struct xha_repls *repls, const struct xha_job *job, const char *text)
{
    struct xha_repl_domain *domain = sender(repls, job);

    if (!domain)
        return;
    domain->sending = false;
    snprintf(domain->ended, sizeof domain->ended, "%s", text);
}

bool xha_repls_silent(struct xha_repls *repls, const struct xha_job *job)
{
    struct xha_repl_domain *domain = entry_of(repls, &job->uuid);

    if (!domain)
        return false;
    if (domain->silent_job != job->id)
        domain->silent = 0;
    domain->silent_job = job->id;
    if (domain->silent < SILENT_AGAIN + 1)
        domain->silent++;
    return domain->silent == SILENT_AGAIN;
}
