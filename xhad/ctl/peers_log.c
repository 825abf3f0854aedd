/*
 * peers_log.c - the history of the cluster: what each host noted, in one line of time.
 *
 * Every host is asked for the end of its own history; who does not answer in time is left out. What several
 * noted, because it was ordered, is told once ("at": null); what a host saw or did by itself says where.
 */
#include "xhad/ctl/history.h"
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define ANSWERS_MS 2000

struct xha_peers_log {
    struct xha_peers_log *next;
    uint64_t id, client;
    uint64_t waits_for; /* hosts */
    int64_t until_ms;
    size_t lines;
    json_t *entries;
};

/* ---- one line of time ---- */

static json_int_t moment(const json_t *entry)
{
    return json_integer_value(json_object_get(entry, "ms"));
}

/* The number of the last message that was applied, or 0. */
static json_int_t index_of(const json_t *entry)
{
    return json_integer_value(json_object_get(entry, "index"));
}

static bool same_member(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

    return (!x && !y) || json_equal(x, y);
}

static bool same_fact(const json_t *a, const json_t *b)
{
    return index_of(a) == index_of(b) && same_member(a, b, "cause") && same_member(a, b, "uuid") &&
           same_member(a, b, "text");
}

struct item {
    json_int_t ms, index;
    size_t at; /* its place among those of the same millisecond; then its place in the line of time */
    json_t *entry;
    bool again;
};

static int by_time(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_index(const void *a, const void *b)
{
    const struct item *const *x = a, *const *y = b;

    if ((*x)->index != (*y)->index)
        return (*x)->index < (*y)->index ? -1 : 1;
    return ((*x)->at > (*y)->at) - ((*x)->at < (*y)->at);
}

/* The one that was noted first stands for all. */
static void mark_again(struct item *items, size_t n)
{
    struct item **by = calloc(n + 1, sizeof *by);

    if (!by)
        abort();
    for (size_t i = 0; i < n; i++) {
        items[i].at = i;
        by[i] = &items[i];
    }
    qsort(by, n, sizeof *by, by_index);
    for (size_t first = 0, i = 0; i < n; i++) {
        if (by[i]->index != by[first]->index)
            first = i;
        for (size_t j = first; j < i && by[i]->index > 0 && !by[i]->again; j++) {
            if (by[j]->again || !same_fact(by[j]->entry, by[i]->entry))
                continue;
            by[i]->again = true;
            json_object_set_new(by[j]->entry, "at", json_null());
        }
    }
    free(by);
}

static size_t take(struct item *items, size_t n, const json_t *entries)
{
    json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry)
    {
        if (!json_is_object(entry))
            continue;
        items[n] = (struct item){ .ms = moment(entry), .index = index_of(entry), .at = n, .entry = entry };
        n++;
    }
    return n;
}

/* One line of time of both, the newest of it, so many lines. Takes over old. */
static json_t *merge(json_t *old, const json_t *more, size_t lines)
{
    struct item *items = calloc(json_array_size(old) + json_array_size(more) + 1, sizeof *items);
    const size_t n = items ? take(items, take(items, 0, old), more) : 0;
    json_t *all = json_array();
    size_t kept = 0;

    if (!items)
        abort();
    qsort(items, n, sizeof *items, by_time);
    mark_again(items, n);
    for (size_t i = 0; i < n; i++)
        kept += !items[i].again;
    for (size_t i = 0; i < n; i++)
        if (!items[i].again && kept-- <= lines)
            json_array_append(all, items[i].entry);
    free(items);
    json_decref(old);
    return all;
}

static void say_where(const struct xha_peers *p, json_t *entries, unsigned host)
{
    char name[XHA_HOST_TEXT];
    json_t *entry;
    size_t i;

    xha_peers_host(p, host, name);
    json_array_foreach(entries, i, entry)
    {
        json_object_set_new(entry, "at", json_string(name));
    }
}

/* ---- asking ---- */

static void end(struct xha_peers *p, struct xha_peers_log **at, bool answer)
{
    struct xha_peers_log *log = *at;

    *at = log->next;
    if (answer)
        xha_control_ok(p->d->control, log->client, log->entries);
    else
        json_decref(log->entries);
    free(log);
}

void xha_peers_log(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid, size_t lines)
{
    static const struct xha_uuid all;
    struct xha_peers_log *log = calloc(1, sizeof *log);

    if (!log)
        abort();
    *log = (struct xha_peers_log){
        .next = p->logs,
        .id = ++p->number,
        .client = client,
        .waits_for = p->members & ~(1ULL << p->self),
        .until_ms = xha_clock_monotonic_ms() + ANSWERS_MS,
        .lines = lines,
        .entries = xha_history_tail(p->d->history, uuid, lines),
    };
    say_where(p, log->entries, p->self);
    p->logs = log;
    for (unsigned host = 0; host < XHA_HOSTS_MAX; host++)
        if (log->waits_for >> host & 1)
            xha_peers_put_question(p, host, log->id, "log", uuid ? uuid : &all, (json_int_t)lines);
    xha_peers_logs_check(p, false);
}

void xha_peers_log_answer(struct xha_peers *p, unsigned host, uint64_t id, json_t *entries)
{
    for (struct xha_peers_log *log = p->logs; log; log = log->next) {
        if (log->id != id || !(log->waits_for >> host & 1))
            continue;
        say_where(p, entries, host);
        log->entries = merge(log->entries, entries, log->lines);
        log->waits_for &= ~(1ULL << host);
        xha_peers_logs_check(p, false);
        return;
    }
}

void xha_peers_logs_check(struct xha_peers *p, bool close)
{
    int64_t now = xha_clock_monotonic_ms();
    struct xha_peers_log **at = &p->logs;

    while (*at) {
        (*at)->waits_for &= p->members;
        if (close || (*at)->waits_for == 0 || now >= (*at)->until_ms) {
            end(p, at, !close);
            at = &p->logs; /* an answer may bring the next request */
        } else {
            at = &(*at)->next;
        }
    }
}
