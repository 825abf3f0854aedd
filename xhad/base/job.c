/*
 * job.c - jobs and answers as JSON files. The locks are in job_lock.c.
 */
#include "xhad/base/job.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <inttypes.h>
#include <string.h>

static const char *const verb_names[XHA_VERB_N_] = {
    [XHA_VERB_NONE] = "none",
    [XHA_VERB_START] = "start",
    [XHA_VERB_RESTORE] = "restore",
    [XHA_VERB_DESTROY] = "destroy",
    [XHA_VERB_SHUTDOWN] = "shutdown",
    [XHA_VERB_CHECKPOINT] = "checkpoint",
    [XHA_VERB_RESUME] = "resume",
    [XHA_VERB_SCHED] = "sched",
    [XHA_VERB_GATE] = "gate",
    [XHA_VERB_IMPORT] = "import",
    [XHA_VERB_PARSE] = "parse",
    [XHA_VERB_DESCRIBE] = "describe",
    [XHA_VERB_CHECKPOINTS] = "checkpoints",
    [XHA_VERB_MONITOR] = "monitor",
    [XHA_VERB_MIGRATE] = "migrate",
    [XHA_VERB_RECEIVE] = "receive",
    [XHA_VERB_SEND_DISKS] = "send-disks",
    [XHA_VERB_RECEIVE_DISKS] = "receive-disks",
    [XHA_VERB_REPLICATE_IN] = "replicate-in",
    [XHA_VERB_REPLICATE_OUT] = "replicate-out",
};

const char *xha_verb_name(enum xha_verb verb)
{
    return (unsigned)verb < XHA_VERB_N_ ? verb_names[verb] : "?";
}

enum xha_verb xha_verb_parse(const char *name)
{
    for (int v = XHA_VERB_NONE + 1; v < XHA_VERB_N_; v++)
        if (strcmp(name, verb_names[v]) == 0)
            return (enum xha_verb)v;
    return XHA_VERB_NONE;
}

int xha_job_beside(const char *job_path, const char *ending, char *buf, size_t len)
{
    static const char job_ending[] = ".job";
    size_t n = strlen(job_path);
    int r;

    if (n < sizeof job_ending || strcmp(job_path + n - (sizeof job_ending - 1), job_ending) != 0)
        return -1;
    r = snprintf(buf, len, "%.*s%s", (int)(n - (sizeof job_ending - 1)), job_path, ending);
    return r < 0 || (size_t)r >= len ? -1 : 0;
}

/* ---- writing ---- */

static json_t *sched_json(const struct xha_job_sched *s)
{
    return json_pack("{s:I, s:I, s:s, s:s}", "weight", (json_int_t)s->weight, "cap", (json_int_t)s->cap,
                     "affinity", s->affinity, "pool", s->pool);
}

static json_t *checkpoint_json(const struct xha_job_checkpoint *c)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:s, s:i, s:s, s:s, s:s}", "dir", c->dir, "number",
                     (json_int_t)c->number, "keep", (json_int_t)c->keep, "keep_age_s",
                     (json_int_t)c->keep_age_s, "compress", c->compress, "level", c->level, "disks", c->disks,
                     "snapshot_command", c->snapshot_command, "file", c->file);
}

static json_t *move_json(const struct xha_job_move *m)
{
    return json_pack("{s:I, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:I, s:I, s:s}", "id", (json_int_t)m->id,
                     "mode", m->mode, "host", m->host, "port", (int)m->port, "port_last", (int)m->port_last,
                     "bind", m->bind, "key_file", m->key_file, "compress", m->compress, "limit_bps",
                     (json_int_t)m->limit_bps, "peer_timeout_s", (json_int_t)m->peer_timeout_s, "command",
                     m->command);
}

static json_t *replica_json(const struct xha_job_replica *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "interval_min_ms",
                     (json_int_t)r->interval_min_ms, "interval_max_ms", (json_int_t)r->interval_max_ms,
                     "max_pause_permille", (json_int_t)r->max_pause_permille, "silence_ms",
                     (json_int_t)r->silence_ms, "copies_mib", (json_int_t)r->copies_mib, "held_mib",
                     (json_int_t)r->held_mib, "queue_max_kib", (json_int_t)r->queue_max_kib, "disks",
                     r->disks);
}

static int write_json(const char *path, json_t *json, char *err, size_t err_len)
{
    XHA_CLEANUP_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!text) {
        snprintf(err, err_len, "%s: cannot be put into JSON: a text in it is no UTF-8, or memory is short",
                 path);
        return -1;
    }
    if (xha_file_write(path, 0600, text, strlen(text)) < 0) {
        snprintf(err, err_len, "%s: cannot be written: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

int xha_job_write(const char *path, const struct xha_job *job, char *err, size_t err_len)
{
    char uuid[XHA_UUID_TEXT];
    json_t *json =
        json_pack("{s:i, s:I, s:s, s:s, s:s, s:I, s:i, s:I, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "v",
                  XHA_JOB_VERSION, "id", (json_int_t)job->id, "verb", xha_verb_name(job->verb), "uuid",
                  xha_uuid_format(&job->uuid, uuid), "name", job->name, "term", (json_int_t)job->term,
                  "domid", (int)job->domid, "deadline_ms", (json_int_t)job->deadline_ms, "config",
                  job->config, "xlcfg", job->xlcfg, "take_over", job->take_over, "sched",
                  sched_json(&job->sched), "checkpoint", checkpoint_json(&job->checkpoint), "move",
                  move_json(&job->move), "replica", replica_json(&job->replica));

    return write_json(path, json, err, err_len);
}

int xha_job_done_write(const char *path, const struct xha_job_done *done, char *err, size_t err_len)
{
    json_t *json =
        json_pack("{s:i, s:I, s:s, s:s, s:s, s:i, s:I}", "v", XHA_JOB_VERSION, "id", (json_int_t)done->id,
                  "result", xha_result_name(done->result), "refusal", xha_refusal_name(done->refusal),
                  "message", done->message, "domid", (int)done->domid, "skipped", (json_int_t)done->skipped);

    if (json && done->data)
        json_object_set(json, "data", done->data);
    return write_json(path, json, err, err_len);
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

/* What is being read; the first wrong field is remembered in err, and the reading goes on with harmless
 * values. */
struct reader {
    const char *path;
    char *err;
    size_t err_len;
    bool bad;
};

static void complain(struct reader *rd, const char *key, const char *what)
{
    if (!rd->bad)
        snprintf(rd->err, rd->err_len, "%s: \"%s\" %s", rd->path, key, what);
    rd->bad = true;
}

static int64_t get_int(struct reader *rd, json_t *obj, const char *key, int64_t min, int64_t max)
{
    json_t *v = json_object_get(obj, key);

    if (!v)
        return 0;
    if (!json_is_integer(v)) {
        complain(rd, key, "is no whole number");
        return 0;
    }
    if (json_integer_value(v) < min || json_integer_value(v) > max) {
        complain(rd, key, "is out of range");
        return 0;
    }
    return json_integer_value(v);
}

static void get_text(struct reader *rd, json_t *obj, const char *key, char *buf, size_t len)
{
    json_t *v = json_object_get(obj, key);

    buf[0] = '\0';
    if (!v)
        return;
    if (!json_is_string(v))
        complain(rd, key, "is no text");
    else if (json_string_length(v) >= len)
        complain(rd, key, "is too long");
    else
        memcpy(buf, json_string_value(v), json_string_length(v) + 1);
}

/* A word of a fixed set, spelled by name(): its number, or 0 with a complaint. */
#define GET_WORD(rd, obj, key, name, n)                                                                      \
    (__extension__({                                                                                         \
        char word_[64];                                                                                      \
        int w_ = 0;                                                                                          \
        get_text(rd, obj, key, word_, sizeof word_);                                                         \
        while (w_ < (n) && strcmp(word_, name(w_)) != 0)                                                     \
            w_++;                                                                                            \
        if (w_ == (n) && word_[0])                                                                           \
            complain(rd, key, "is not a known word");                                                        \
        w_ == (n) ? 0 : w_;                                                                                  \
    }))

/* The object of a file, with a "v" that we know; NULL with a text. */
static json_t *read_json(struct reader *rd)
{
    XHA_CLEANUP_FREE char *text = NULL;
    json_error_t jerr;
    json_t *json;
    size_t len;

    if (xha_file_read(rd->path, XHA_JOB_BYTES_MAX, &text, &len) < 0) {
        snprintf(rd->err, rd->err_len, "%s: cannot be read: %s", rd->path, strerror(errno));
        return NULL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);
    if (!json) {
        snprintf(rd->err, rd->err_len, "%s: line %d: %s", rd->path, jerr.line, jerr.text);
        return NULL;
    }
    if (!json_is_object(json) || json_integer_value(json_object_get(json, "v")) != XHA_JOB_VERSION) {
        snprintf(rd->err, rd->err_len,
                 "%s: is not of version %d: xhad and its helper are of different releases", rd->path,
                 XHA_JOB_VERSION);
        json_decref(json);
        return NULL;
    }
    return json;
}

static void read_sched(struct reader *rd, json_t *obj, struct xha_job_sched *s)
{
    s->weight = (uint32_t)get_int(rd, obj, "weight", 0, 65535);
    s->cap = (uint32_t)get_int(rd, obj, "cap", 0, UINT16_MAX);
    get_text(rd, obj, "affinity", s->affinity, sizeof s->affinity);
    get_text(rd, obj, "pool", s->pool, sizeof s->pool);
}

static void read_checkpoint(struct reader *rd, json_t *obj, struct xha_job_checkpoint *c)
{
    get_text(rd, obj, "dir", c->dir, sizeof c->dir);
    c->number = (uint64_t)get_int(rd, obj, "number", 0, INT64_MAX);
    c->keep = (uint32_t)get_int(rd, obj, "keep", 0, UINT32_MAX);
    c->keep_age_s = (uint32_t)get_int(rd, obj, "keep_age_s", 0, UINT32_MAX);
    get_text(rd, obj, "compress", c->compress, sizeof c->compress);
    c->level = (int)get_int(rd, obj, "level", INT_MIN, INT_MAX);
    get_text(rd, obj, "disks", c->disks, sizeof c->disks);
    get_text(rd, obj, "snapshot_command", c->snapshot_command, sizeof c->snapshot_command);
    get_text(rd, obj, "file", c->file, sizeof c->file);
}

static void read_move(struct reader *rd, json_t *obj, struct xha_job_move *m)
{
    m->id = (uint64_t)get_int(rd, obj, "id", 0, INT64_MAX);
    get_text(rd, obj, "mode", m->mode, sizeof m->mode);
    get_text(rd, obj, "host", m->host, sizeof m->host);
    m->port = (uint16_t)get_int(rd, obj, "port", 0, UINT16_MAX);
    m->port_last = (uint16_t)get_int(rd, obj, "port_last", 0, UINT16_MAX);
    get_text(rd, obj, "bind", m->bind, sizeof m->bind);
    get_text(rd, obj, "key_file", m->key_file, sizeof m->key_file);
    get_text(rd, obj, "compress", m->compress, sizeof m->compress);
    m->limit_bps = (uint64_t)get_int(rd, obj, "limit_bps", 0, INT64_MAX);
    m->peer_timeout_s = (uint32_t)get_int(rd, obj, "peer_timeout_s", 0, 3600);
    get_text(rd, obj, "command", m->command, sizeof m->command);
}

static void read_replica(struct reader *rd, json_t *obj, struct xha_job_replica *r)
{
    r->interval_min_ms = (uint32_t)get_int(rd, obj, "interval_min_ms", 0, 3600000);
    r->interval_max_ms = (uint32_t)get_int(rd, obj, "interval_max_ms", 0, 3600000);
    r->max_pause_permille = (uint32_t)get_int(rd, obj, "max_pause_permille", 0, 500);
    r->silence_ms = (uint32_t)get_int(rd, obj, "silence_ms", 0, 3 * 60000);
    r->copies_mib = (uint32_t)get_int(rd, obj, "copies_mib", 0, 1 << 20);
    r->held_mib = (uint32_t)get_int(rd, obj, "held_mib", 0, 1 << 20);
    r->queue_max_kib = (uint32_t)get_int(rd, obj, "queue_max_kib", 0, 1 << 22);
    get_text(rd, obj, "disks", r->disks, sizeof r->disks);
}

int xha_job_read(const char *path, struct xha_job *job_r, char *err, size_t err_len)
{
    struct reader rd = { .path = path, .err = err, .err_len = err_len };
    struct xha_job job = { 0 };
    json_t *json = read_json(&rd);
    char word[64];

    if (!json)
        return -1;
    job.id = (uint64_t)get_int(&rd, json, "id", 0, INT64_MAX);
    get_text(&rd, json, "verb", word, sizeof word);
    job.verb = xha_verb_parse(word);
    if (job.verb == XHA_VERB_NONE)
        complain(&rd, "verb", "is not a known word");
    get_text(&rd, json, "uuid", word, sizeof word);
    if (!xha_uuid_parse(word, &job.uuid))
        complain(&rd, "uuid", "is no UUID");
    get_text(&rd, json, "name", job.name, sizeof job.name);
    job.term = (uint64_t)get_int(&rd, json, "term", 0, INT64_MAX);
    job.domid = (int32_t)get_int(&rd, json, "domid", XHA_DOMID_NONE, INT32_MAX);
    job.deadline_ms = get_int(&rd, json, "deadline_ms", 0, INT64_MAX);
    get_text(&rd, json, "config", job.config, sizeof job.config);
    get_text(&rd, json, "xlcfg", job.xlcfg, sizeof job.xlcfg);
    job.take_over = json_is_true(json_object_get(json, "take_over"));
    read_sched(&rd, json_object_get(json, "sched"), &job.sched);
    read_checkpoint(&rd, json_object_get(json, "checkpoint"), &job.checkpoint);
    read_move(&rd, json_object_get(json, "move"), &job.move);
    read_replica(&rd, json_object_get(json, "replica"), &job.replica);
    json_decref(json);
    if (rd.bad)
        return -1;
    *job_r = job;
    return 0;
}

int xha_job_done_read(const char *path, struct xha_job_done *done_r, char *err, size_t err_len)
{
    struct reader rd = { .path = path, .err = err, .err_len = err_len };
    struct xha_job_done done = { .domid = XHA_DOMID_NONE };
    json_t *json = read_json(&rd);

    if (!json)
        return -1;
    done.id = (uint64_t)get_int(&rd, json, "id", 0, INT64_MAX);
    if (!json_is_string(json_object_get(json, "result")))
        complain(&rd, "result", "is missing");
    done.result = (enum xha_result)GET_WORD(&rd, json, "result", xha_result_name, XHA_RESULT_N_);
    done.refusal = (enum xha_refusal)GET_WORD(&rd, json, "refusal", xha_refusal_name, XHA_REFUSAL_N_);
    get_text(&rd, json, "message", done.message, sizeof done.message);
    if (json_object_get(json, "domid"))
        done.domid = (int32_t)get_int(&rd, json, "domid", XHA_DOMID_NONE, INT32_MAX);
    done.skipped = (uint32_t)get_int(&rd, json, "skipped", 0, UINT32_MAX);
    if (rd.bad) {
        json_decref(json);
        return -1;
    }
    done.data = json_incref(json_object_get(json, "data"));
    json_decref(json);
    *done_r = done;
    return 0;
}

void xha_job_done_clear(struct xha_job_done *done)
{
    json_decref(done->data);
    done->data = NULL;
}

/* ---- progress ---- */

void xha_job_progress(int fd, const char *step, uint64_t done, uint64_t total)
{
    char line[256];
    int len = snprintf(line, sizeof line,
                       "{\"progress\":{\"step\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}}\n", step,
                       done, total);

    if (len > 0 && (size_t)len < sizeof line)
        (void)xha_write_all(fd, line, (size_t)len);
}

void xha_job_progress_pace(int fd, const char *step, uint64_t done, uint64_t total,
                           const struct xha_job_pace *pace)
{
    char line[384], eta[48] = "";
    int len;

    if (pace->eta_ms >= 0)
        snprintf(eta, sizeof eta, ",\"eta_ms\":%" PRId64, pace->eta_ms);
    len = snprintf(line, sizeof line,
                   "{\"progress\":{\"step\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64
                   ",\"wire_bytes\":%" PRIu64 ",\"bytes_per_s\":%" PRIu64 ",\"round\":%" PRIu32 "%s}}\n",
                   step, done, total, pace->wire_bytes, pace->bytes_per_s, pace->round, eta);
    if (len > 0 && (size_t)len < sizeof line)
        (void)xha_write_all(fd, line, (size_t)len);
}

bool xha_job_progress_parse(const char *line, size_t len, char *step, size_t step_len, uint64_t *done_r,
                            uint64_t *total_r)
{
    json_t *json = json_loadb(line, len, 0, NULL);
    json_t *p = json_object_get(json, "progress");
    struct reader rd = { .path = "progress", .err = step, .err_len = 0 };

    get_text(&rd, p, "step", step, step_len);
    *done_r = (uint64_t)get_int(&rd, p, "done", 0, INT64_MAX);
    *total_r = (uint64_t)get_int(&rd, p, "total", 0, INT64_MAX);
    if (!p)
        rd.bad = true;
    json_decref(json);
    return !rd.bad;
}

bool xha_job_progress_parse_pace(const char *line, size_t len, struct xha_job_pace *pace_r)
{
    json_t *json = json_loadb(line, len, 0, NULL);
    json_t *p = json_object_get(json, "progress"), *eta = json_object_get(p, "eta_ms");
    bool ok = json_is_integer(json_object_get(p, "wire_bytes"));
    char no_text[1];
    struct reader rd = { .path = "progress", .err = no_text, .err_len = 0 };

    *pace_r = (struct xha_job_pace){
        .wire_bytes = (uint64_t)get_int(&rd, p, "wire_bytes", 0, INT64_MAX),
        .bytes_per_s = (uint64_t)get_int(&rd, p, "bytes_per_s", 0, INT64_MAX),
        .eta_ms = json_is_integer(eta) ? get_int(&rd, p, "eta_ms", -1, INT64_MAX) : -1,
        .round = (uint32_t)get_int(&rd, p, "round", 0, UINT32_MAX),
    };
    json_decref(json);
    return ok && !rd.bad;
}

/* ---- epochs ---- */

void xha_job_tell_epoch(int fd, const struct xha_job_epoch *e)
{
    char line[768];
    int len =
        snprintf(line, sizeof line,
                 "{\"epoch\":{\"number\":%" PRIu64 ",\"pages\":%" PRIu64 ",\"raw_bytes\":%" PRIu64
                 ",\"sent_bytes\":%" PRIu64 ",\"suspend_us\":%" PRId64 ",\"scan_us\":%" PRId64
                 ",\"copy_us\":%" PRId64 ",\"resume_us\":%" PRId64 ",\"commit_us\":%" PRId64
                 ",\"interval_us\":%" PRId64 ",\"held_packets\":%" PRIu64 ",\"held_bytes\":%" PRIu64
                 ",\"dropped_packets\":%" PRIu64 ",\"delay_us\":%" PRId64 ",\"gate_us\":%" PRId64 "}}\n",
                 e->number, e->pages, e->raw_bytes, e->sent_bytes, e->suspend_us, e->scan_us, e->copy_us,
                 e->resume_us, e->commit_us, e->interval_us, e->held_packets, e->held_bytes,
                 e->dropped_packets, e->delay_us, e->gate_us);

    if (len > 0 && (size_t)len < sizeof line)
        (void)xha_write_all(fd, line, (size_t)len);
}

bool xha_job_epoch_parse(const char *line, size_t len, struct xha_job_epoch *epoch_r)
{
    json_t *json = json_loadb(line, len, 0, NULL);
    json_t *e = json_object_get(json, "epoch");
    char no_text[1];
    struct reader rd = { .path = "epoch", .err = no_text, .err_len = 0 };

    *epoch_r = (struct xha_job_epoch){
        .number = (uint64_t)get_int(&rd, e, "number", 1, INT64_MAX),
        .pages = (uint64_t)get_int(&rd, e, "pages", 0, INT64_MAX),
        .raw_bytes = (uint64_t)get_int(&rd, e, "raw_bytes", 0, INT64_MAX),
        .sent_bytes = (uint64_t)get_int(&rd, e, "sent_bytes", 0, INT64_MAX),
        .suspend_us = get_int(&rd, e, "suspend_us", 0, INT64_MAX),
        .scan_us = get_int(&rd, e, "scan_us", 0, INT64_MAX),
        .copy_us = get_int(&rd, e, "copy_us", 0, INT64_MAX),
        .resume_us = get_int(&rd, e, "resume_us", 0, INT64_MAX),
        .commit_us = get_int(&rd, e, "commit_us", 0, INT64_MAX),
        .interval_us = get_int(&rd, e, "interval_us", 0, INT64_MAX),
        .held_packets = (uint64_t)get_int(&rd, e, "held_packets", 0, INT64_MAX),
        .held_bytes = (uint64_t)get_int(&rd, e, "held_bytes", 0, INT64_MAX),
        .dropped_packets = (uint64_t)get_int(&rd, e, "dropped_packets", 0, INT64_MAX),
        .delay_us = get_int(&rd, e, "delay_us", 0, INT64_MAX),
        .gate_us = get_int(&rd, e, "gate_us", 0, INT64_MAX),
    };
    json_decref(json);
    return epoch_r->number > 0 && !rd.bad;
}
