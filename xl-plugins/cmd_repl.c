/*
 * cmd_repl.c - repl: how a domain is replicated, epoch by epoch; and the wait for its first copy.
 *
 * Both ask again and again instead of being told: so they go on when another host has become the domain's owner, whose
 * xhad alone knows its epochs.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    USUAL_LINES = 20,
    MOST_LINES = 64, /* that xhad keeps */
    AGAIN_MS = 500,
    SURE = 2, /* so often a reason has been given: it is none of a moment */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

static void rest(void)
{
    const struct timespec a_while = { AGAIN_MS / 1000, AGAIN_MS % 1000 * 1000000 };

    nanosleep(&a_while, NULL);
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int ask(struct xlha *x, const char *domain, int lines, json_t **result_r)
{
    return xlha_call(x, "repl", json_pack("{s:s, s:i}", "domain", domain, "lines", lines), result_r);
}

/* ---- epochs as lines ---- */

enum unit { NUMBER, BYTES, TIME };

static const struct {
    const char *title, *key;
    int width;
    enum unit unit;
    bool part; /* of the pause: with -v */
} columns[] = {
    { "Epoch", "number", 7, NUMBER, false },
    { "Pages", "dirty_pages", 7, NUMBER, false },
    { "Raw", "raw_bytes", 6, BYTES, false },
    { "Sent", "sent_bytes", 6, BYTES, false },
    { "Pause", "pause_us", 7, TIME, false },
    { "Suspend", "suspend_us", 7, TIME, true },
    { "Scan", "scan_us", 7, TIME, true },
    { "Copy", "copy_us", 7, TIME, true },
    { "Resume", "resume_us", 7, TIME, true },
    { "Commit", "commit_us", 7, TIME, false },
    { "Delay", "delay_us", 7, TIME, false },
    { "Held", "held_packets", 6, NUMBER, false },
    { "Dropped", "dropped_packets", 7, NUMBER, false },
    { "Interval", "interval_us", 8, TIME, false },
};

static void cell_text(enum unit unit, int64_t value, char *buf, size_t len)
{
    if (unit == TIME)
        xlha_short_text(value, buf, len);
    else if (unit == BYTES && value >= 1024)
        xlha_size_text(value, buf, len);
    else if (value < 0)
        snprintf(buf, len, "-");
    else
        snprintf(buf, len, "%" PRId64 "%s", value, unit == BYTES ? "B" : "");
}

/* entry NULL: the titles. */
static void print_line(const struct xlha *x, const json_t *entry)
{
    const char *gap = "";

    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        char text[32];

        if (columns[i].part && !x->verbose)
            continue;
        snprintf(text, sizeof(text), "%s", columns[i].title);
        if (entry)
            cell_text(columns[i].unit, xlha_int(entry, columns[i].key, -1), text, sizeof(text));
        printf("%s%*s", gap, columns[i].width, text);
        gap = "  ";
    }
    putchar('\n');
}

static void print_epoch(const struct xlha *x, const json_t *entry)
{
    if (!x->json) {
        print_line(x, entry);
        return;
    }
    json_dumpf(entry, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
}

/* ---- how it stands, as a line ---- */

static void copy_text(const json_t *sync, char *buf, size_t len)
{
    int64_t rate = xlha_int(sync, "bytes_per_s", 0), eta = xlha_int(sync, "eta_ms", -1);
    char size[32], span[32];
    size_t n;

    n = (size_t)snprintf(buf, len, ": %" PRId64 " of %" PRId64 " pages", xlha_int(sync, "done", 0),
                         xlha_int(sync, "total", 0));
    if (rate > 0 && n < len)
        n += (size_t)snprintf(buf + n, len - n, ", %s/s", xlha_size_text(rate, size, sizeof(size)));
    if (eta >= 0 && n < len)
        snprintf(buf + n, len - n, ", %s to go", xlha_span_text(eta, span, sizeof(span)));
}

static void status_text(const json_t *status, char *buf, size_t len)
{
    const char *domain = xlha_string(status, "domain"), *state = xlha_string(status, "replication");
    const char *host = xlha_string(status, "host"), *backup = xlha_string(status, "backup");
    const char *why = xlha_string(status, "replication_why");
    int64_t epoch = xlha_int(status, "epoch", -1), age = xlha_int(status, "epoch_age_ms", -1);
    char more[160] = "", span[32];

    if (!strcmp(state, "protected") && epoch >= 0)
        snprintf(more, sizeof(more), " and holds epoch %" PRId64 ", %s old", epoch,
                 xlha_span_text(age, span, sizeof(span)));
    else if (!strcmp(state, "syncing") && json_is_object(json_object_get(status, "sync")))
        copy_text(json_object_get(status, "sync"), more, sizeof(more));
    if (!*state)
        snprintf(buf, len, "%s is not to be replicated: its policy does not say protection = \"replicate\"",
                 domain);
    else if (!strcmp(state, "protected"))
        snprintf(buf, len, "%s is protected on %s: %s is its backup%s%s%s", domain, host, backup, more,
                 *why ? "; " : "", why);
    else if (!strcmp(state, "syncing"))
        snprintf(buf, len, "%s is syncing from %s to %s%s", domain, host, backup, more);
    else if (!strcmp(state, "degraded"))
        snprintf(buf, len, "%s is degraded: it runs%s%s without a backup: %s", domain, *host ? " on " : "",
                 host, *why ? why : "one is being looked for");
    else
        snprintf(buf, len, "%s is %s: %s", domain, state, *why ? why : xlha_string(status, "state"));
}

/* As JSON in one line, without the epochs. */
static void print_status(const struct xlha *x, const json_t *status)
{
    char text[1024];

    xlha_progress_end();
    if (x->json) {
        json_t *copy = json_copy((json_t *)status);

        json_object_del(copy, "epochs");
        json_dumpf(copy, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(copy);
        return;
    }
    status_text(status, text, sizeof(text));
    xlha_print_line(text, stdout);
    if (*xlha_string(status, "note"))
        xlha_print_line(xlha_string(status, "note"), stdout);
}

static void show_copy(const struct xlha *x, const json_t *status, const char *step)
{
    const json_t *sync = json_object_get(status, "sync");
    json_t *progress;

    progress = json_pack("{s:s, s:s, s:I, s:I, s:s}", "domain", xlha_string(status, "domain"), "step", step,
                         "done", (json_int_t)xlha_int(sync, "done", 0), "total",
                         (json_int_t)xlha_int(sync, "total", 0), "unit", "pages");
    if (xlha_int(sync, "bytes_per_s", 0) > 0)
        json_object_set(progress, "bytes_per_s", json_object_get(sync, "bytes_per_s"));
    if (xlha_int(sync, "eta_ms", -1) >= 0)
        json_object_set(progress, "eta_ms", json_object_get(sync, "eta_ms"));
    xlha_progress(x, progress);
    json_decref(progress);
}

/* ---- repl ---- */

struct follow {
    json_int_t pair, number; /* of the epoch that was printed last; pair 0: none */
    char status[1024];       /* as it was printed last */
};

static bool is_last(const struct follow *f, const json_t *epoch)
{
    return f->pair && xlha_int(epoch, "pair", 0) == f->pair && xlha_int(epoch, "number", 0) == f->number;
}

static void print_new(const struct xlha *x, const json_t *epochs, struct follow *f)
{
    size_t n = json_array_size(epochs), from = n;

    while (from > 0 && !is_last(f, json_array_get(epochs, from - 1)))
        from--;
    if (!from && f->pair && n == MOST_LINES && !x->json)
        puts("    ...");
    if (from < n)
        xlha_progress_end();
    for (; from < n; from++) {
        const json_t *epoch = json_array_get(epochs, from);

        print_epoch(x, epoch);
        f->pair = xlha_int(epoch, "pair", 0);
        f->number = xlha_int(epoch, "number", 0);
    }
}

/* Who has it, who backs it up and how it is: not how far, which changes all the time. */
static bool changed(const json_t *status, struct follow *f)
{
    static const char *const keys[] = { "replication", "replication_why", "host", "backup", "note" };
    char now[sizeof(f->status)] = "";

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        snprintf(now + strlen(now), sizeof(now) - strlen(now), "%.180s\n", xlha_string(status, keys[i]));
    if (!strcmp(now, f->status))
        return false;
    memcpy(f->status, now, sizeof(now));
    return true;
}

static int follow(struct xlha *x)
{
    int lines = x->lines < 0 ? USUAL_LINES : x->lines, rc;
    struct follow f = { 0 };
    json_t *status;

    for (;;) {
        rc = ask(x, x->args[0], lines < MOST_LINES ? lines : MOST_LINES, &status);
        if (rc)
            return rc;
        if (changed(status, &f)) {
            print_status(x, status);
            if (!x->json)
                print_line(x, NULL);
        }
        print_new(x, json_object_get(status, "epochs"), &f);
        if (json_is_object(json_object_get(status, "sync")))
            show_copy(x, status, "first copy");
        json_decref(status);
        if (fflush(stdout))
            return XLHA_FAILED; /* nobody reads along any more */
        lines = MOST_LINES;
        rest();
    }
}

int xlha_cmd_repl(struct xlha *x)
{
    const json_t *epochs, *epoch;
    json_t *status;
    size_t i;
    int rc;

    if (x->lines > MOST_LINES)
        return xlha_fail(XLHA_USAGE, "-n %d: xhad keeps the newest %d epochs", x->lines, MOST_LINES);
    if (x->follow)
        return follow(x);
    rc = ask(x, x->args[0], x->lines < 0 ? USUAL_LINES : x->lines, &status);
    if (rc)
        return rc;
    epochs = json_object_get(status, "epochs");
    if (x->json) {
        xlha_print_json(status);
    } else {
        print_status(x, status);
        if (json_array_size(epochs))
            print_line(x, NULL);
        json_array_foreach(epochs, i, epoch) print_line(x, epoch);
    }
    json_decref(status);
    return XLHA_DONE;
}

/* ---- the first copy ---- */

struct await {
    json_int_t pair; /* that was seen on its way; 0: none yet */
    int reasons;     /* how often in a row it was said why there is no backup */
};

/* -1: it goes on; else the exit code, and if that is no success, why has been said. */
static int judge(struct await *a, const json_t *status)
{
    const char *domain = xlha_string(status, "domain"), *state = xlha_string(status, "replication");
    const char *why = xlha_string(status, "replication_why");
    json_int_t pair = xlha_int(status, "pair", 0);
    bool broken = a->pair && pair != a->pair;

    if (!strcmp(state, "protected"))
        return XLHA_DONE;
    if (!*state)
        return xlha_fail(XLHA_FAILED, "%s is not to be replicated any more: its policy has changed", domain);
    a->pair = pair ? pair : a->pair;
    a->reasons = !pair && *why ? a->reasons + 1 : 0;
    if (a->reasons >= SURE && !strcmp(state, "unprotected"))
        return xlha_fail(XLHA_FAILED, "%s is protected, but has no backup: %s; it gets one when it runs",
                         domain, why);
    if (a->reasons >= SURE || (broken && !*why))
        return xlha_fail(XLHA_FAILED,
                         "%s is protected, but has no backup: %s; xhad goes on trying, see xl-ha repl %s and "
                         "xl-ha log %s",
                         domain, *why ? why : "its first copy broke off", domain, domain);
    return -1;
}

static const char *step_text(const json_t *status, char *buf, size_t len)
{
    if (json_is_object(json_object_get(status, "sync")))
        snprintf(buf, len, "first copy to %.40s", xlha_string(status, "backup"));
    else if (*xlha_string(status, "backup"))
        snprintf(buf, len, "%.40s prepares", xlha_string(status, "backup"));
    else if (!strcmp(xlha_string(status, "replication"), "degraded"))
        snprintf(buf, len, "a backup is looked for");
    else
        snprintf(buf, len, "%.40s", xlha_string(status, "state"));
    return buf;
}

int xlha_repl_await(struct xlha *x, const char *domain, json_t **status_r)
{
    int64_t until = x->timeout_ms > 0 ? now_ms() + x->timeout_ms : INT64_MAX;
    struct sigaction act = { .sa_handler = on_interrupt }, was;
    struct await a = { 0 };
    struct xlha once = *x;
    int rc;

    once.no_wait = true; /* each question has its answer soon */
    once.timeout_ms = -1;
    sigaction(SIGINT, &act, &was);
    for (;;) {
        json_t *status;
        char step[64];

        rc = ask(&once, domain, 0, &status);
        if (rc)
            break;
        rc = judge(&a, status);
        if (rc < 0) {
            show_copy(x, status, step_text(status, step, sizeof(step)));
            rest();
        }
        if (rc >= 0 && status_r)
            *status_r = json_incref(status);
        json_decref(status);
        if (rc < 0 && interrupted)
            rc = xlha_fail(XLHA_FAILED, "%s is protected, and its first copy goes on: see xl-ha repl %s",
                           domain, domain);
        else if (rc < 0 && now_ms() >= until)
            rc = xlha_fail(XLHA_TIMEOUT,
                           "%s is protected, but not yet replicated; that goes on: see xl-ha repl %s", domain,
                           domain);
        if (rc >= 0)
            break;
    }
    sigaction(SIGINT, &was, NULL);
    xlha_progress_end();
    return rc;
}
