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

struct fact {
    json_int_t index;
    json_t *entry;
};

static int by_index(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

/* What was ordered, sorted; the caller frees. */
static struct fact *facts_of(json_t *entries, size_t *n_r)
{
    struct fact *facts = calloc(json_array_size(entries) + 1, sizeof *facts);
    json_t *entry;
    size_t i;

    if (!facts)
        abort();
    *n_r = 0;
    json_array_foreach(entries, i, entry)
    {
        if (index_of(entry) > 0)
            facts[(*n_r)++] = (struct fact){ .index = index_of(entry), .entry = entry };
    }
    qsort(facts, *n_r, sizeof *facts, by_index);
    return facts;
}

/* The same fact as another host noted it; NULL: none. */
static json_t *find(const struct fact *facts, size_t n, const json_t *entry)
{
    const struct fact key = { .index = index_of(entry) };
    const struct fact *at = key.index > 0 ? bsearch(&key, facts, n, sizeof *facts, by_index) : NULL;

    if (!at)
        return NULL;
    while (at > facts && at[-1].index == key.index)
        at--;
    for (; at < facts + n && at->index == key.index; at++)
        if (same_fact(at->entry, entry))
            return at->entry;
    return NULL;
}

/* The last of them, so many lines. Takes over entries. */
static json_t *newest(json_t *entries, size_t lines)
{
    const size_t n = json_array_size(entries);
    json_t *last;

    if (n <= lines)
        return entries;
    last = json_array();
    for (size_t i = n - lines; i < n; i++)
        json_array_append(last, json_array_get(entries, i));
    json_decref(entries);
    return last;
}

/* Both are in their order of time, and so is the result: the newest of both, so many lines. */
static json_t *merge(json_t *old, const json_t *more, size_t lines)
{
    json_t *all = json_array(), *entry;
    size_t at = 0, n_facts, i;
    struct fact *facts = facts_of(old, &n_facts);

    json_array_foreach(more, i, entry)
    {
        json_t *known = json_is_object(entry) ? find(facts, n_facts, entry) : NULL;

        if (known)
            json_object_set_new(known, "at", json_null());
        if (known || !json_is_object(entry))
            continue;
        for (; at < json_array_size(old) && moment(json_array_get(old, at)) <= moment(entry); at++)
            json_array_append(all, json_array_get(old, at));
        json_array_append(all, entry);
    }
    for (; at < json_array_size(old); at++)
        json_array_append(all, json_array_get(old, at));
    free(facts);
    json_decref(old);
    return newest(all, lines);
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
