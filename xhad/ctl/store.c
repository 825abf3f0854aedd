/*
 * store.c - the table of records in memory and its journal.
 *
 * A journal record is {"t":MS,"boot":"…","next":ID,"put":[{…}],"forget":["UUID"]}, all parts optional. Fields
 * of a domain's record that are missing are zero, unknown ones are passed over: a newer xhad reads an older
 * journal, and back.
 */
#include "xhad/ctl/store.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"
#include "xhad/ctl/journal.h"
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

struct entry {
    struct xha_uuid uuid;
    struct xha_record record;
    bool dirty;
    bool gone; /* forgotten, and the journal does not know it yet */
};

struct xha_store {
    struct xha_journal *journal;
    struct entry *entry;
    size_t n, room;
    uint64_t next_id;
    bool dirty; /* something is not yet in the journal */
    struct xha_time time;
    char boot[XHA_BOOT_ID_MAX];     /* of the host now */
    char was_boot[XHA_BOOT_ID_MAX]; /* of the last record that was read; "": none, or it did not say */
};

/* ---- records as JSON ---- */

static json_t *record_json(const struct xha_uuid *uuid, const struct xha_record *r)
{
    char text[XHA_UUID_TEXT];
    json_t *recovery = json_array();

    for (uint32_t i = 0; i < r->n_recoveries && i < XHA_HISTORY_MAX; i++)
        json_array_append_new(recovery, json_integer(r->recovery[i].ms));
    return json_pack(
        "{s:s, s:I, s:i, s:i, s:i, s:b, s:b, s:b, s:b, s:i, s:i, s:i, s:i, s:I, s:I, s:i, s:I, s:o, "
        "s:I, s:I, s:i, s:b, s:i, s:i, s:b, s:b, s:b, s:I, s:i, s:i, s:I}",
        "uuid", xha_uuid_format(uuid, text), "term", (json_int_t)r->term, "state", r->state, "purpose",
        r->purpose, "pending", r->pending, "maintenance", r->maintenance, "want_run", r->want_run,
        "ever_beat", r->ever_beat, "host_maintenance", r->host_maintenance, "failure", r->failure, "restores",
        r->restores, "host", r->host, "domid", (int)r->domid, "pending_id", (json_int_t)r->pending_id,
        "checkpoint", (json_int_t)r->checkpoint, "deferred", r->deferred, "deferred_checkpoint",
        (json_int_t)r->deferred_checkpoint, "recovery", recovery, "since", (json_int_t)r->since.ms, "move",
        (json_int_t)r->move, "move_peer", r->move_peer, "move_sent", r->move_sent, "verdict", r->verdict,
        "yield", r->yield, "relocate", r->relocate, "given_up", r->given_up, "move_disks", r->move_disks,
        "repl", (json_int_t)r->repl, "repl_peer", r->repl_peer, "repl_stage", r->repl_stage, "repl_deed",
        (json_int_t)r->repl_deed);
}

static int64_t get(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

static uint8_t get_byte(const json_t *obj, const char *key)
{
    return (uint8_t)get(obj, key);
}

static bool get_bool(const json_t *obj, const char *key)
{
    return json_is_true(json_object_get(obj, key));
}

static bool record_from_json(const json_t *obj, struct xha_uuid *uuid_r, struct xha_record *record_r)
{
    const char *uuid = json_string_value(json_object_get(obj, "uuid"));
    const json_t *recovery = json_object_get(obj, "recovery");
    struct xha_record r = {
        .term = (uint64_t)get(obj, "term"),
        .state = get_byte(obj, "state"),
        .purpose = get_byte(obj, "purpose"),
        .pending = get_byte(obj, "pending"),
        .maintenance = get_bool(obj, "maintenance"),
        .want_run = get_bool(obj, "want_run"),
        .ever_beat = get_bool(obj, "ever_beat"),
        .host_maintenance = get_bool(obj, "host_maintenance"),
        .failure = get_byte(obj, "failure"),
        .restores = get_byte(obj, "restores"),
        .host = get_byte(obj, "host"),
        .domid = (int32_t)get(obj, "domid"),
        .pending_id = (uint64_t)get(obj, "pending_id"),
        .checkpoint = (uint64_t)get(obj, "checkpoint"),
        .deferred = get_byte(obj, "deferred"),
        .deferred_checkpoint = (uint64_t)get(obj, "deferred_checkpoint"),
        .since = { get(obj, "since") },
        .move = (uint64_t)get(obj, "move"),
        .move_peer = get_byte(obj, "move_peer"),
        .move_disks = get_bool(obj, "move_disks"),
        .move_sent = get_bool(obj, "move_sent"),
        .verdict = get_byte(obj, "verdict"),
        .yield = get_byte(obj, "yield"),
        .relocate = get_bool(obj, "relocate"),
        .given_up = get_bool(obj, "given_up"),
        .repl = (uint64_t)get(obj, "repl"),
        .repl_peer = get_byte(obj, "repl_peer"),
        .repl_stage = get_byte(obj, "repl_stage"),
        .repl_deed = (uint64_t)get(obj, "repl_deed"),
    };

    while (r.n_recoveries < XHA_HISTORY_MAX && r.n_recoveries < json_array_size(recovery)) {
        r.recovery[r.n_recoveries].ms = json_integer_value(json_array_get(recovery, r.n_recoveries));
        r.n_recoveries++;
    }
    if (!uuid || !xha_uuid_parse(uuid, uuid_r) || r.state >= XHA_ST_N_ || r.purpose >= XHA_FOR_N_ ||
        r.pending >= XHA_ACT_N_ || r.failure >= XHA_FAIL_N_ || r.deferred > XHA_DO_N_ ||
        r.verdict >= XHA_VERDICT_N_ || r.yield >= XHA_YIELD_N_ || r.repl_peer >= XHA_HOSTS_MAX ||
        r.repl_stage >= XHA_REPL_N_ || !r.repl != !r.repl_stage)
        return false;
    *record_r = r;
    return true;
}

/* ---- the table ---- */

static struct entry *find(const struct xha_store *store, const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < store->n; i++)
        if (xha_uuid_equal(&store->entry[i].uuid, uuid))
            return &store->entry[i];
    return NULL;
}

static void drop(struct xha_store *store, struct entry *e)
{
    memmove(e, e + 1, (size_t)(store->entry + store->n - (e + 1)) * sizeof *e);
    store->n--;
}

static struct entry *add(struct xha_store *store, const struct xha_uuid *uuid)
{
    if (!store->entry || store->n == store->room) {
        size_t room = store->room ? 2 * store->room : 16;
        struct entry *grown = realloc(store->entry, room * sizeof *grown);

        if (!grown)
            return NULL;
        store->entry = grown;
        store->room = room;
    }
    store->entry[store->n] = (struct entry){ .uuid = *uuid };
    return &store->entry[store->n++];
}

int xha_store_put(struct xha_store *store, const struct xha_uuid *uuid, const struct xha_record *record)
{
    struct entry *e = find(store, uuid);

    if (!e)
        e = add(store, uuid);
    if (!e)
        return -1;
    e->record = *record;
    e->dirty = store->dirty = true;
    e->gone = false;
    return 0;
}

int xha_store_forget(struct xha_store *store, const struct xha_uuid *uuid)
{
    struct entry *e = find(store, uuid);

    if (e)
        e->dirty = e->gone = store->dirty = true;
    return 0;
}

void xha_store_set_next_id(struct xha_store *store, uint64_t next_id)
{
    store->next_id = next_id;
    store->dirty = true;
}

uint64_t xha_store_next_id(const struct xha_store *store)
{
    return store->next_id;
}

struct xha_time xha_store_time(const struct xha_store *store)
{
    return store->time;
}

void xha_store_each(const struct xha_store *store, xha_store_each_cb *each, void *user)
{
    for (size_t i = 0; i < store->n; i++)
        if (!store->entry[i].gone)
            each(user, &store->entry[i].uuid, &store->entry[i].record);
}

bool xha_store_is_dirty(const struct xha_store *store)
{
    return store->dirty;
}

/* ---- reading and writing the journal ---- */

static bool read_record(void *user, const char *text, size_t len)
{
    struct xha_store *store = user;
    json_t *json = json_loadb(text, len, 0, NULL), *item;
    const char *boot = json_string_value(json_object_get(json, "boot"));
    bool ok = json_is_object(json);
    size_t i;

    if (get(json, "t") > store->time.ms)
        store->time.ms = get(json, "t");
    if ((uint64_t)get(json, "next") > store->next_id)
        store->next_id = (uint64_t)get(json, "next");
    snprintf(store->was_boot, sizeof store->was_boot, "%s", boot ? boot : "");
    json_array_foreach(json_object_get(json, "put"), i, item)
    {
        struct xha_uuid uuid;
        struct xha_record record;
        struct entry *e;

        if (!record_from_json(item, &uuid, &record)) {
            ok = false;
            break;
        }
        e = find(store, &uuid);
        if (!e)
            e = add(store, &uuid);
        if (!e) {
            ok = false;
            break;
        }
        e->record = record;
    }
    json_array_foreach(json_object_get(json, "forget"), i, item)
    {
        struct xha_uuid uuid;
        struct entry *e = NULL;

        if (!json_is_string(item) || !xha_uuid_parse(json_string_value(item), &uuid)) {
            ok = false;
            break;
        }
        e = find(store, &uuid);
        if (e)
            drop(store, e);
    }
    json_decref(json);
    return ok;
}

/* all: every record (a compacted journal), else what is dirty. The caller frees. */
static char *serialize(const struct xha_store *store, struct xha_time now, bool all)
{
    json_t *json = json_object(), *put = json_array(), *forget = json_array();
    char *text;

    for (size_t i = 0; i < store->n; i++) {
        const struct entry *e = &store->entry[i];
        char uuid[XHA_UUID_TEXT];

        if (e->gone)
            json_array_append_new(forget, json_string(xha_uuid_format(&e->uuid, uuid)));
        else if (all || e->dirty)
            json_array_append_new(put, record_json(&e->uuid, &e->record));
    }
    json_object_set_new(json, "t", json_integer(now.ms));
    json_object_set_new(json, "boot", json_string(store->boot));
    json_object_set_new(json, "next", json_integer((json_int_t)store->next_id));
    json_object_set_new(json, "put", put);
    json_object_set_new(json, "forget", forget);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void all_clean(struct xha_store *store)
{
    for (size_t i = store->n; i-- > 0;) {
        store->entry[i].dirty = false;
        if (store->entry[i].gone)
            drop(store, &store->entry[i]);
    }
    store->dirty = false;
}

int xha_store_commit(struct xha_store *store, struct xha_time now)
{
    XHA_CLEANUP_FREE char *text = serialize(store, now, false);

    if (!text) {
        errno = ENOMEM;
        return -1;
    }
    if (xha_journal_append(store->journal, text, strlen(text)) < 0)
        return -1;
    all_clean(store);
    store->time = now;
    if (xha_journal_bytes(store->journal) > XHA_STORE_COMPACT_BYTES) {
        XHA_CLEANUP_FREE char *whole = serialize(store, now, true);

        /* When it fails, nothing is lost: the long journal goes on, and the next commit tries again. */
        if (whole)
            (void)xha_journal_compact(store->journal, whole, strlen(whole));
    }
    return 0;
}

const char *xha_store_boot_id(char buf[XHA_BOOT_ID_MAX])
{
    XHA_CLEANUP_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t r = fd < 0 ? -1 : read(fd, buf, XHA_BOOT_ID_MAX - 1);

    buf[r > 0 ? r : 0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

bool xha_store_is_new_boot(const struct xha_store *store)
{
    return store->boot[0] && store->was_boot[0] && strcmp(store->boot, store->was_boot) != 0;
}

int xha_store_open(const char *state_dir, const char *boot_id, struct xha_store **store_r, char *warning,
                   size_t warning_len, char *err, size_t err_len)
{
    struct xha_store *store = calloc(1, sizeof *store);
    char path[PATH_MAX];
    size_t cut;
    int r = snprintf(path, sizeof path, "%s/journal", state_dir);

    warning[0] = '\0';
    if (!store || r < 0 || (size_t)r >= sizeof path) {
        snprintf(err, err_len, "%s: %s", state_dir, store ? "path too long" : "no memory");
        free(store);
        return -1;
    }
    store->next_id = 1;
    snprintf(store->boot, sizeof store->boot, "%s", boot_id);
    if (xha_journal_open(path, read_record, store, &store->journal, &cut, err, err_len) < 0) {
        xha_store_close(store);
        return -1;
    }
    if (cut)
        snprintf(warning, warning_len,
                 "%s: %zu bytes of a record that a crash left half written were cut off; what it said is "
                 "looked up "
                 "anew",
                 path, cut);
    *store_r = store;
    return 0;
}

void xha_store_close(struct xha_store *store)
{
    if (!store)
        return;
    xha_journal_close(store->journal);
    free(store->entry);
    free(store);
}
