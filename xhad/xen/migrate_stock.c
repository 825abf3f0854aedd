/*
 * migrate_stock.c - the sending half of migrate_stock.h.
 *
 * The point of no return is the GO message: before it the domain is ours and runs on after a failure; after
 * it only the receiver's own word can tell, and where that does not come the answer is UNKNOWN.
 */
#include "xhad/xen/migrate_stock.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/stock.h"
#include "xhad/xen/suspend.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BANNER_MS 60000  /* somebody may have to type a password */
#define READY_MS  120000 /* for the receiver to attach the devices */
#define REPORT_MS 60000
#define AWAY      "--migratedaway" /* what xl calls a domain that may be somebody else's already */

struct stock {
    struct xha_work *w;
    uint32_t domid;
    pid_t child;
    struct xha_stop stop;
    int to, from; /* the receiver's standard input and output */
};

static int64_t within(const struct xha_work *w, int64_t wait_ms)
{
    const int64_t until_ms = xha_now_ms() + wait_ms;

    return until_ms < w->until_ms ? until_ms : w->until_ms;
}

static const char *what_happened(int error)
{
    return error == EPIPE       ? "it ended early"
           : error == EPROTO    ? "it says what no xl migrate-receive says"
           : error == ETIMEDOUT ? "it took too long"
           : error == ECANCELED ? "told to stop, or it took longer than it may"
                                : strerror(error);
}

/* ---- the command ---- */

static int run_command(struct stock *s)
{
    char *const argv[] = { "sh", "-c", s->w->job.move.command, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    int in[2], out[2], r;

    if (pipe2(in, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return -1;
    }
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn(&s->child, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    s->to = in[1];
    s->from = out[0];
    errno = r;
    return r ? -1 : 0;
}

/* Hangs up, and waits a moment for the command to go by itself. */
static void end_command(struct stock *s)
{
    const struct timespec pause = { .tv_nsec = 20000000 };
    const int turns = xha_work_told_to_stop() ? 25 : 100; /* told to stop we have only seconds */

    if (s->to >= 0)
        close(xha_steal_fd(&s->to));
    if (s->from >= 0)
        close(xha_steal_fd(&s->from));
    for (int i = 0; s->child > 0 && i < turns; i++) {
        if (waitpid(s->child, NULL, WNOHANG) != 0)
            s->child = -1;
        else
            nanosleep(&pause, NULL);
    }
    if (s->child > 0) {
        kill(s->child, SIGKILL);
        waitpid(s->child, NULL, 0);
        s->child = -1;
    }
}

/* ---- before the point of no return ---- */

static void give_up(struct stock *s, const char *why)
{
    struct xha_work *w = s->w;

    end_command(s);
    xha_suspend_end_log(s->domid);
    if (xha_suspend_undo(w, s->domid, xha_suspend_settle_ms()) < 0)
        xha_work_unknown(w, "%s was not moved (%s) and could not be resumed: %s", w->who, why,
                         xha_lx_error(&w->lx));
    else
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s was not moved and runs on: %s", w->who, why);
}

/* Banner and header. 0, or -1 with errno. */
static int meet(struct stock *s, const char *config_json)
{
    XHA_CLEANUP_FREE uint8_t *header = NULL;
    size_t len;

    if (xha_save_header_make(config_json, &header, &len) < 0) {
        errno = EMSGSIZE;
        return -1;
    }
    if (xha_stock_expect(s->from, XHA_STOCK_BANNER, sizeof(XHA_STOCK_BANNER) - 1, within(s->w, BANNER_MS),
                         &s->stop) < 0)
        return -1;
    return xha_write_all(s->to, header, len);
}

/* ---- from there on ---- */

static void rename_domain(struct stock *s, const char *from, const char *to)
{
    libxl_domain_rename(s->w->lx.ctx, s->domid, from, to);
}

/* The receiver could not unpause it, and gives it back. */
static void take_back(struct stock *s, const char *name, const char *away)
{
    struct xha_work *w = s->w;

    if (xha_stock_expect(s->from, XHA_STOCK_GO, sizeof(XHA_STOCK_GO), within(w, REPORT_MS), NULL) < 0) {
        xha_work_unknown(
            w,
            "%s could not be started by the receiver, which does not say that it has cleared its "
            "copy: look at both hosts",
            w->who);
        return;
    }
    rename_domain(s, away, name);
    give_up(s, "the receiver could not start it, and has cleared its copy");
}

static void commit(struct stock *s, const char *why_warm)
{
    struct xha_work *w = s->w;
    XHA_CLEANUP_FREE char *name = libxl_domid_to_name(w->lx.ctx, s->domid);
    char away[256];
    uint8_t status;

    snprintf(away, sizeof(away), "%.200s" AWAY, name ? name : "");
    rename_domain(s, name, away);
    if (xha_write_all(s->to, XHA_STOCK_GO, sizeof(XHA_STOCK_GO)) < 0 ||
        xha_stock_expect(s->from, XHA_STOCK_REPORT, sizeof(XHA_STOCK_REPORT), within(w, REPORT_MS), NULL) <
            0 ||
        xha_stock_read(s->from, &status, 1, within(w, REPORT_MS), NULL) < 0) {
        xha_work_unknown(w,
                         "%s was given to the receiver, which did not say whether it runs there (%s). It is "
                         "suspended here as %.80s: look there before it is resumed",
                         w->who, what_happened(errno), away);
        return;
    }
    if (status != 0) {
        take_back(s, name, away);
        return;
    }
    if (libxl_domain_destroy(w->lx.ctx, s->domid, NULL))
        xha_work_warn(w, "what is left of it here, %.80s, could not be destroyed: %s", away,
                      xha_lx_error(&w->lx));
    xha_work_ok(w, "%s was moved%s%s%s and runs at the receiver", w->who, why_warm[0] ? " (" : "", why_warm,
                why_warm[0] ? ")" : "");
}

void xha_migrate_to_stock(struct xha_work *w, uint32_t domid, bool live, const char *why_warm,
                          const char *config_json)
{
    struct stock s = { .w = w,
                       .domid = domid,
                       .child = -1,
                       .to = -1,
                       .from = -1,
                       .stop = { .asked = xha_work_stop, .arg = w } };
    char why[300];

    if (w->job.move.limit_bps > 0)
        xha_work_warn(w, "a limit of the rate is for moves between hosts with xhad: not kept");
    if (run_command(&s) < 0 || meet(&s, config_json) < 0) {
        snprintf(why, sizeof(why), "'%.150s': %s", w->job.move.command, what_happened(errno));
        end_command(&s);
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not moved and runs on: %s", w->who, why);
        return;
    }
    xha_lx_forget(&w->lx);
    if (libxl_domain_suspend(w->lx.ctx, domid, s.to, live ? LIBXL_SUSPEND_LIVE : 0, NULL)) {
        snprintf(why, sizeof(why), "%s", xha_lx_error(&w->lx));
        give_up(&s, why);
    } else if (xha_stock_expect(s.from, XHA_STOCK_READY, sizeof(XHA_STOCK_READY), within(w, READY_MS),
                                &s.stop) < 0) {
        snprintf(why, sizeof(why), "the receiver: %s", what_happened(errno));
        give_up(&s, why);
    } else if (xha_work_stop(w)) {
        give_up(&s, "told to stop");
    } else {
        commit(&s, why_warm);
    }
    end_command(&s);
}
