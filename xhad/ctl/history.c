/*
 * history.c - appends, rotates and reads back the history.
 */
#include "xhad/ctl/history.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/log.h"
#include "xhad/base/uuid.h"
#include "xhad/ctl/clock.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TAIL_BYTES_MAX ((size_t)4 * 1024 * 1024) /* how far back a question reads in one file */

struct xha_history {
    char path[PATH_MAX], old_path[PATH_MAX + 2];
    int fd;
    size_t bytes, bytes_max; /* of the current file */
    bool failing;            /* said once, until it works again */
    xha_history_follow_cb *follow;
    void *follow_user;
};

void xha_history_set_size(struct xha_history *h, uint32_t size_mib)
{
    h->bytes_max = (size_t)size_mib * 1024 * 1024 / 2;
}

void xha_history_follow(struct xha_history *h, xha_history_follow_cb *follow, void *user)
{
    h->follow = follow;
    h->follow_user = user;
}

static int open_file(struct xha_history *h)
{
    struct stat st;

    h->fd = open(h->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (h->fd < 0 || fstat(h->fd, &st) < 0)
        return -1;
    h->bytes = (size_t)st.st_size;
    return 0;
}

int xha_history_open(const char *state_dir, uint32_t size_mib, struct xha_history **history_r, char *err,
                     size_t err_len)
{
    struct xha_history *h = calloc(1, sizeof *h);
    int r = h ? snprintf(h->path, sizeof h->path, "%s/history", state_dir) : -1;

    if (r < 0 || (size_t)r >= sizeof h->path) {
        snprintf(err, err_len, "%s: %s", state_dir, h ? "path too long" : "no memory");
        free(h);
        return -1;
    }
    snprintf(h->old_path, sizeof h->old_path, "%s.1", h->path);
    if (open_file(h) < 0) {
        snprintf(err, err_len, "%s: cannot be opened: %s", h->path, strerror(errno));
        xha_history_close(h);
        return -1;
    }
    xha_history_set_size(h, size_mib);
    *history_r = h;
    return 0;
}

void xha_history_close(struct xha_history *h)
{
    if (!h)
        return;
    if (h->fd >= 0)
        close(h->fd);
    free(h);
}

/* ---- appending ---- */

static void rotate(struct xha_history *h)
{
    if (rename(h->path, h->old_path) < 0)
        return;
    close(h->fd);
    if (open_file(h) < 0)
        xha_log(XHA_LOG_WARNING, "a new history cannot be begun: check the disk", XHA_S("file", h->path),
                XHA_S("error", strerror(errno)));
}

/* A line is written by one write(): when only a part of it found room, that part is taken back. */
static void append(struct xha_history *h, const char *line, size_t len)
{
    ssize_t r;

    if (h->bytes + len > h->bytes_max)
        rotate(h);
    r = write(h->fd, line, len);
    if (r == (ssize_t)len) {
        h->bytes += len;
        h->failing = false;
        return;
    }
    if (!h->failing)
        xha_log(XHA_LOG_WARNING, "the history cannot be written: lines are lost until there is room",
                XHA_S("file", h->path), XHA_S("error", r < 0 ? strerror(errno) : "no space left"));
    h->failing = true;
    if (r > 0 && ftruncate(h->fd, (off_t)h->bytes) < 0)
        h->bytes += (size_t)r;
}

/* Takes over entry. */
static void emit(struct xha_history *h, json_t *entry)
{
    XHA_CLEANUP_FREE char *text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;

    if (text) {
        size_t len = strlen(text);

        text[len] = '\n'; /* takes the NUL's place */
        append(h, text, len + 1);
        if (h->follow)
            h->follow(h->follow_user, entry);
    }
    json_decref(entry);
}

static json_t *entry_new(const char *kind, const struct xha_uuid *uuid, const char *name)
{
    char when[40], text[XHA_UUID_TEXT];
    int64_t ms = xha_clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    json_t *entry = json_object();

    gmtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + strlen(when), sizeof when - strlen(when), ".%03dZ", (int)(ms % 1000));
    json_object_set_new(entry, "time", json_string(when));
    json_object_set_new(entry, "ms", json_integer(ms));
    json_object_set_new(entry, "kind", json_string(kind));
    if (uuid && !xha_uuid_is_nil(uuid))
        json_object_set_new(entry, "uuid", json_string(xha_uuid_format(uuid, text)));
    if (name)
        json_object_set_new(entry, "domain", json_string(name));
    return entry;
}

void xha_history_text(struct xha_history *h, const char *kind, const struct xha_uuid *uuid, const char *name,
                      const char *text)
{
    json_t *entry = entry_new(kind, uuid, name);

    /* A worker's message may hold anything; what is no UTF-8 is not worth a lost line. */
    if (json_object_set_new(entry, "text", json_string(text)) < 0)
        json_object_set_new(entry, "text", json_string("(not printable)"));
    emit(h, entry);
}

void xha_history_action(struct xha_history *h, const struct xha_action *a, const char *name)
{
    char text[256];
    bool note = a->type == XHA_ACT_NOTE;
    json_t *entry = entry_new(note ? "state" : "alarm", &a->uuid, name);

    json_object_set_new(entry, "event", json_integer((json_int_t)a->cause_id));
    json_object_set_new(entry, "term", json_integer((json_int_t)a->term));
    if (note) {
        json_object_set_new(entry, "from", json_string(xha_state_name(a->u.note.from)));
        json_object_set_new(entry, "to", json_string(xha_state_name(a->u.note.to)));
        json_object_set_new(entry, "purpose", json_string(xha_purpose_name(a->u.note.purpose)));
    } else {
        json_object_set_new(entry, "severity", json_string(xha_severity_name(a->u.alarm.severity)));
    }
    json_object_set_new(entry, "cause", json_string(xha_cause_name(a->cause)));
    json_object_set_new(entry, "detail", json_integer(a->detail));
    json_object_set_new(entry, "text", json_string(xha_cause_text(a->cause, a->detail, text, sizeof text)));
    emit(h, entry);
}

void xha_history_cluster(struct xha_history *h, const struct xha_cluster_action *a, const char *host,
                         const char *name)
{
    bool alarm = a->type == XHA_CACT_ALARM;
    json_t *entry = entry_new(alarm ? "alarm" : "cluster", xha_uuid_is_nil(&a->uuid) ? NULL : &a->uuid, name);

    json_object_set_new(entry, "host", host ? json_string(host) : json_null());
    json_object_set_new(entry, "index", json_integer((json_int_t)a->index));
    if (alarm)
        json_object_set_new(entry, "severity", json_string(xha_severity_name(a->u.said.severity)));
    json_object_set_new(entry, "cause", json_string(xha_cluster_cause_name(a->u.said.cause)));
    json_object_set_new(entry, "detail", json_integer(a->u.said.detail));
    if (json_object_set_new(entry, "text", json_string(a->u.said.text)) < 0)
        json_object_set_new(entry, "text", json_string("(not printable)"));
    emit(h, entry);
}

/* ---- reading back ---- */

/* The end of a file, from the beginning of a line on; the caller frees. NULL: nothing there. */
static char *read_end(const char *path, size_t *len_r)
{
    XHA_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    size_t len;
    char *data, *newline;
    ssize_t r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    len = (size_t)st.st_size < TAIL_BYTES_MAX ? (size_t)st.st_size : TAIL_BYTES_MAX;
    data = malloc(len + 1);
    r = data ? pread(fd, data, len, st.st_size - (off_t)len) : -1;
    if (r < 0) {
        free(data);
        return NULL;
    }
    *len_r = (size_t)r;
    newline = len < (size_t)st.st_size ? memchr(data, '\n', (size_t)r) : NULL;
    if (newline) {
        *len_r = (size_t)(data + r - (newline + 1));
        memmove(data, newline + 1, *len_r);
    }
    return data;
}

static bool wanted(const json_t *entry, const char *uuid)
{
    const char *of = json_string_value(json_object_get(entry, "uuid"));

    return json_is_object(entry) && (!uuid[0] || (of && strcmp(of, uuid) == 0));
}

/* Puts the lines of a file before those in list, until there are enough. A line that is no JSON is passed
 * over. */
static void prepend_file(const char *path, const char *uuid, size_t lines, json_t *list)
{
    size_t len;
    XHA_CLEANUP_FREE char *data = json_array_size(list) < lines ? read_end(path, &len) : NULL;

    while (data && len > 0 && json_array_size(list) < lines) {
        size_t end = data[len - 1] == '\n' ? len - 1 : len;
        char *newline = memrchr(data, '\n', end);
        char *line = newline ? newline + 1 : data;
        /* Before the costly parse: a UUID stands in the line as it is. */
        bool maybe = !uuid[0] || memmem(line, (size_t)(data + end - line), uuid, strlen(uuid));
        json_t *entry = maybe ? json_loadb(line, (size_t)(data + end - line), 0, NULL) : NULL;

        if (wanted(entry, uuid))
            json_array_insert(list, 0, entry);
        json_decref(entry);
        len = (size_t)(line - data);
    }
}

json_t *xha_history_tail(const struct xha_history *h, const struct xha_uuid *uuid, size_t lines)
{
    char text[XHA_UUID_TEXT] = "";
    json_t *list = json_array();

    if (uuid)
        xha_uuid_format(uuid, text);
    if (list) {
        prepend_file(h->path, text, lines, list);
        prepend_file(h->old_path, text, lines, list);
    }
    return list;
}
