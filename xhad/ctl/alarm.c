/*
 * alarm.c - log line, syslog and hooks of an alarm.
 */
#include "xhad/ctl/alarm.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include "xhad/base/uuid.h"
#include "xhad/ctl/clock.h"
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#define HOOKS_MAX   8   /* processes at once */
#define QUEUE_MAX   256 /* alarms that wait for a hook */
#define HOOK_MS     30000
#define SUMMARY_MS  1000
#define PER_DIR_MAX 32 /* hooks in the directory */
#define ENV_MAX     9

struct waiting {
    struct xha_alarm alarm;
    char hook[1024];
    char time[32];
};

struct xha_alarms {
    uv_loop_t *loop;
    const char *dir;
    uint32_t rate;
    uv_timer_t summary;
    struct xha_alarm_limit limit;
    struct waiting *queue[QUEUE_MAX];
    size_t first, n;
    unsigned running;
    uint64_t lost;
    struct hook *hooks; /* that run */
};

struct hook {
    struct xha_alarms *alarms; /* NULL: closed */
    struct hook *next;
    struct waiting *what;
    uv_process_t process;
    uv_timer_t timer;
    int handles;
};

static void run_more(struct xha_alarms *alarms);

/* ---- one hook ---- */

static void hook_closed(uv_handle_t *handle)
{
    struct hook *h = handle->data;

    if (--h->handles > 0)
        return;
    free(h->what);
    free(h);
}

static void hook_gone(struct hook *h)
{
    struct xha_alarms *alarms = h->alarms;

    uv_close((uv_handle_t *)&h->process, hook_closed);
    uv_close((uv_handle_t *)&h->timer, hook_closed);
    if (!alarms)
        return;
    for (struct hook **p = &alarms->hooks; *p; p = &(*p)->next) {
        if (*p == h) {
            *p = h->next;
            break;
        }
    }
    h->alarms = NULL;
    alarms->running--;
    run_more(alarms);
}

static void on_hook_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct hook *h = process->data;

    if (status != 0 || signal_number != 0)
        xha_log(XHA_LOG_WARNING, "alarm hook failed", XHA_S("hook", h->what->hook), XHA_I("status", status),
                XHA_I("signal", signal_number));
    kill(-process->pid, SIGKILL); /* and whatever it left running in its session */
    hook_gone(h);
}

static void on_hook_late(uv_timer_t *timer)
{
    struct hook *h = timer->data;

    xha_log(XHA_LOG_WARNING, "alarm hook takes too long: killing it", XHA_S("hook", h->what->hook),
            XHA_I("after_ms", HOOK_MS));
    kill(-h->process.pid, SIGKILL);
}

/* Texts of a guest or a file reach a hook: without control bytes, so that a careless script prints one line.
 */
static void set_env(char **env, size_t *n, char *room, size_t room_len, const char *key, const char *value)
{
    assert(*n < ENV_MAX);
    snprintf(room, room_len, "%s=%s", key, value);
    for (char *p = room; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    env[(*n)++] = room;
}

static int spawn(struct hook *h)
{
    static char room[ENV_MAX][640];
    const struct waiting *w = h->what;
    char uuid[XHA_UUID_TEXT], host[256] = "",
                              path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char program[1024], *argv[] = { program, NULL }, *env[ENV_MAX + 2];
    size_t n = 0;
    uv_process_options_t options = { .exit_cb = on_hook_exit,
                                     .file = program,
                                     .args = argv,
                                     .env = env,
                                     .cwd = "/",
                                     .flags = UV_PROCESS_DETACHED };

    gethostname(host, sizeof host - 1);
    snprintf(program, sizeof program, "%s", w->hook);
    set_env(env, &n, room[0], sizeof room[0], "XHA_ALARM_KIND", w->alarm.kind);
    set_env(env, &n, room[1], sizeof room[1], "XHA_SEVERITY", xha_severity_name(w->alarm.severity));
    set_env(env, &n, room[2], sizeof room[2], "XHA_DOMAIN", w->alarm.domain);
    set_env(env, &n, room[3], sizeof room[3], "XHA_UUID",
            xha_uuid_is_nil(&w->alarm.uuid) ? "" : xha_uuid_format(&w->alarm.uuid, uuid));
    set_env(env, &n, room[4], sizeof room[4], "XHA_HOST", host);
    set_env(env, &n, room[5], sizeof room[5], "XHA_TEXT", w->alarm.text);
    set_env(env, &n, room[6], sizeof room[6], "XHA_TIME", w->time);
    set_env(env, &n, room[7], sizeof room[7], "XHA_STATE", w->alarm.state);
    env[n++] = path;
    env[n] = NULL;
    return uv_spawn(h->alarms->loop, &h->process, &options);
}

static void start(struct xha_alarms *alarms, struct waiting *what)
{
    struct hook *h = calloc(1, sizeof *h);
    int r;

    if (!h) {
        free(what);
        return;
    }
    h->alarms = alarms;
    h->what = what;
    h->handles = 2;
    h->process.data = h->timer.data = h;
    h->next = alarms->hooks;
    alarms->hooks = h;
    alarms->running++;
    uv_timer_init(alarms->loop, &h->timer);
    r = spawn(h);
    if (r == 0) {
        uv_timer_start(&h->timer, on_hook_late, HOOK_MS, 0);
        return;
    }
    xha_log(XHA_LOG_WARNING, "alarm hook cannot be started", XHA_S("hook", what->hook),
            XHA_S("error", uv_strerror(r)));
    hook_gone(h);
}

static void run_more(struct xha_alarms *alarms)
{
    while (alarms->n > 0 && alarms->running < HOOKS_MAX) {
        struct waiting *what = alarms->queue[alarms->first];

        alarms->first = (alarms->first + 1) % QUEUE_MAX;
        alarms->n--;
        start(alarms, what);
    }
}

/* ---- one alarm ---- */

static void enqueue(struct xha_alarms *alarms, const struct xha_alarm *alarm, const char *hook,
                    const char *when)
{
    struct waiting *w = alarms->n < QUEUE_MAX ? calloc(1, sizeof *w) : NULL;

    if (!w) {
        if (alarms->lost++ % QUEUE_MAX == 0)
            xha_log(XHA_LOG_ERROR, "alarm hooks are too slow: alarms are lost", XHA_U("lost", alarms->lost));
        return;
    }
    w->alarm = *alarm;
    snprintf(w->hook, sizeof w->hook, "%s", hook);
    snprintf(w->time, sizeof w->time, "%s", when);
    alarms->queue[(alarms->first + alarms->n++) % QUEUE_MAX] = w;
}

/* Regular, executable, not hidden, and written by nobody but its owner and root. */
static bool is_hook(const char *path, const char *name)
{
    struct stat st;

    if (name[0] == '.' || stat(path, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
        return false;
    if ((st.st_mode & S_IWOTH) || (st.st_uid != 0 && st.st_uid != geteuid())) {
        xha_log(XHA_LOG_WARNING, "alarm hook is not run: others may write to it", XHA_S("hook", path));
        return false;
    }
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_hooks(struct xha_alarms *alarms, const struct xha_alarm *alarm)
{
    struct dirent **entry;
    int n = scandir(alarms->dir, &entry, NULL, by_name), found = 0;
    time_t seconds = (time_t)(xha_clock_wall_ms() / 1000);
    struct tm tm;
    char when[32];

    gmtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    for (int i = 0; i < n; i++) {
        char path[1024];
        int r = snprintf(path, sizeof path, "%s/%s", alarms->dir, entry[i]->d_name);

        if (r > 0 && (size_t)r < sizeof path && found < PER_DIR_MAX && is_hook(path, entry[i]->d_name)) {
            enqueue(alarms, alarm, path, when);
            found++;
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    run_more(alarms);
}

static void tell(struct xha_alarms *alarms, const struct xha_alarm *a)
{
    static const enum xha_log_level level[XHA_SEV_N_] = { XHA_LOG_INFO, XHA_LOG_WARNING, XHA_LOG_ERROR };
    static const int priority[XHA_SEV_N_] = { LOG_NOTICE, LOG_WARNING, LOG_CRIT };
    const struct xha_log_field fields[] = { XHA_S("kind", a->kind),
                                            XHA_S("severity", xha_severity_name(a->severity)),
                                            XHA_S("domain", a->domain[0] ? a->domain : NULL),
                                            XHA_S("state", a->state[0] ? a->state : NULL),
                                            XHA_S("text", a->text) };
    char line[XHA_LOG_LINE_MAX];

    xha_log_write(level[a->severity], "ALARM", fields, sizeof fields / sizeof *fields);
    if (!xha_log_reaches_syslog()) {
        xha_log_format(line, sizeof line, level[a->severity], "ALARM", fields,
                       sizeof fields / sizeof *fields);
        syslog(LOG_DAEMON | priority[a->severity], "%s", line);
    }
    run_hooks(alarms, a);
}

void xha_alarms_raise(struct xha_alarms *alarms, const struct xha_alarm *alarm)
{
    if (xha_alarm_limit_take(&alarms->limit, alarm, alarms->rate, xha_clock_monotonic_ms()))
        tell(alarms, alarm);
}

static void on_summary(uv_timer_t *timer)
{
    struct xha_alarms *alarms = timer->data;
    struct xha_alarm alarm;

    while (xha_alarm_limit_summary(&alarms->limit, xha_clock_monotonic_ms(), &alarm))
        tell(alarms, &alarm);
}

struct xha_alarms *xha_alarms_new(uv_loop_t *loop, const char *dir, uint32_t rate)
{
    struct xha_alarms *alarms = calloc(1, sizeof *alarms);

    if (!alarms)
        return NULL;
    alarms->loop = loop;
    xha_alarms_set(alarms, dir, rate);
    uv_timer_init(loop, &alarms->summary);
    alarms->summary.data = alarms;
    uv_timer_start(&alarms->summary, on_summary, SUMMARY_MS, SUMMARY_MS);
    return alarms;
}

void xha_alarms_set(struct xha_alarms *alarms, const char *dir, uint32_t rate)
{
    alarms->dir = dir;
    alarms->rate = rate;
}

void xha_alarms_close(struct xha_alarms *alarms)
{
    uv_close((uv_handle_t *)&alarms->summary, NULL);
    while (alarms->hooks) {
        struct hook *h = alarms->hooks;

        alarms->hooks = h->next;
        h->alarms = NULL;
        kill(-h->process.pid, SIGTERM); /* nobody will be there to end it when its time is over */
        uv_close((uv_handle_t *)&h->process, hook_closed);
        uv_close((uv_handle_t *)&h->timer, hook_closed);
    }
    while (alarms->n > 0) {
        free(alarms->queue[alarms->first]);
        alarms->first = (alarms->first + 1) % QUEUE_MAX;
        alarms->n--;
    }
}

void xha_alarms_free(struct xha_alarms *alarms)
{
    free(alarms);
}
