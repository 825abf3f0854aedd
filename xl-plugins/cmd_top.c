/*
 * cmd_top.c - the cluster on one screen, again and again: hosts, domains, beats, moves, what last happened.
 *
 * On a terminal it redraws until q; anywhere else it prints one screen and ends.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { REFRESH_MS = 1000, EVENTS = 6, ROWS_DEFAULT = 1000, COLUMNS_DEFAULT = 1000 };

struct snapshot {
    json_t *cluster, *hosts, *domains, *events;
};

static struct termios terminal_was;
static volatile sig_atomic_t over;

static void on_signal(int sig)
{
    over = sig;
}

static void snapshot_clear(struct snapshot *s)
{
    json_decref(s->cluster);
    json_decref(s->hosts);
    json_decref(s->domains);
    json_decref(s->events);
    *s = (struct snapshot){ 0 };
}

/* One host without a cluster has no `cluster` and no `hosts`. */
static int take(struct xlha *x, struct snapshot *s)
{
    int rc = xlha_ask_quietly(x, "cluster", NULL, "no-cluster", &s->cluster);

    if (!rc)
        rc = xlha_ask_quietly(x, "hosts", NULL, "no-cluster", &s->hosts);
    if (!rc)
        rc = xlha_call(x, "list", NULL, &s->domains);
    if (!rc)
        rc = xlha_call(x, "log", json_pack("{s:i, s:b}", "lines", EVENTS, "follow", 0), &s->events);
    return rc;
}

/* Those that need somebody first, then moves, then those without the backup that they want, then the rest as they come. */
static int urgency(const json_t *domain)
{
    static const char *const order[] = { "error",    "failed",    "unsure",   "waiting",  "suspect",
                                         "vanished", "queued",    "clearing", "starting", "booting",
                                         "stopping", "migrating", "incoming" };
    const char *state = xlha_string(domain, "state");
    int n = (int)(sizeof(order) / sizeof(order[0]));

    for (int i = 0; i < n; i++)
        if (!strcmp(state, order[i]))
            return i;
    return strcmp(xlha_string(domain, "replication"), "degraded") ? n + 1 : n;
}

static int by_urgency(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int d = urgency(x) - urgency(y);

    return d ? d : strcmp(xlha_string(x, "name"), xlha_string(y, "name"));
}

static json_t *sorted(const json_t *domains)
{
    size_t n = json_array_size(domains);
    json_t **at = calloc(n ? n : 1, sizeof(json_t *)), *all = json_array();

    if (!at || !all)
        abort();
    for (size_t i = 0; i < n; i++)
        at[i] = json_array_get(domains, i);
    qsort(at, n, sizeof(at[0]), by_urgency);
    for (size_t i = 0; i < n; i++)
        json_array_append(all, at[i]);
    free(at);
    return all;
}

static void render(const struct snapshot *s, FILE *out)
{
    json_t *domains = sorted(s->domains);
    const json_t *event;
    size_t i;

    if (s->cluster)
        xlha_print_line(xlha_string(s->cluster, "text"), out);
    else
        fprintf(out, "one host, no cluster; %zu domains\n", json_array_size(s->domains));
    fputc('\n', out);
    if (json_array_size(s->hosts)) {
        xlha_print_hosts(s->hosts, false, out);
        fputc('\n', out);
    }
    json_array_foreach(s->events, i, event)
    {
        xlha_print_entry(event, out);
    }
    if (json_array_size(s->events))
        fputc('\n', out);
    xlha_print_domains(domains, false, out);
    json_decref(domains);
}

/* Cuts lines and rows to the screen: bytes are good enough, all that is printed has been escaped. */
static void draw(const char *text, int rows, int columns)
{
    printf("\033[H");
    for (int row = 1; row < rows && *text; row++) {
        size_t len = strcspn(text, "\n");

        printf("%.*s\033[K\n", (int)(len < (size_t)columns ? len : (size_t)columns), text);
        text += len + (text[len] == '\n');
    }
    printf("\033[J");
    fflush(stdout);
}

static void screen_size(int *rows_r, int *columns_r)
{
    struct winsize size;

    *rows_r = ROWS_DEFAULT;
    *columns_r = COLUMNS_DEFAULT;
    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 1 && size.ws_col > 1) {
        *rows_r = size.ws_row;
        *columns_r = size.ws_col;
    }
}

static void screen_begin(void)
{
    struct sigaction act = { .sa_handler = on_signal };
    struct termios raw;

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    if (!tcgetattr(STDIN_FILENO, &terminal_was)) {
        raw = terminal_was;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    printf("\033[?1049h\033[?25l");
}

static void screen_end(void)
{
    printf("\033[?25h\033[?1049l");
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal_was);
}

/* A second, or a key. true: go on. */
static bool wait_key(void)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    char key;

    if (poll(&p, 1, REFRESH_MS) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
        return false;
    return !over;
}

static int watch(struct xlha *x)
{
    int rc = XLHA_DONE, rows, columns;

    screen_begin();
    do {
        struct snapshot s = { 0 };
        char *text = NULL;
        size_t len;
        FILE *out;

        rc = take(x, &s);
        if (!rc) {
            out = open_memstream(&text, &len);
            if (!out)
                abort();
            render(&s, out);
            fclose(out);
            screen_size(&rows, &columns);
            draw(text, rows, columns);
            free(text);
        }
        snapshot_clear(&s);
    } while (!rc && wait_key());
    screen_end();
    if (rc) /* it was said on the screen that is gone */
        fprintf(stderr, "xl-ha: %s\n", xlha_last_failure());
    return rc;
}

int xlha_cmd_top(struct xlha *x)
{
    struct snapshot s = { 0 };
    json_t *all;
    int rc;

    if (!x->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
        return watch(x);
    rc = take(x, &s);
    if (!rc && x->json) {
        all = json_pack("{s:O?, s:O?, s:O, s:O}", "cluster", s.cluster, "hosts", s.hosts, "domains",
                        s.domains, "events", s.events);
        xlha_print_json(all);
        json_decref(all);
    } else if (!rc) {
        render(&s, stdout);
    }
    snapshot_clear(&s);
    return rc;
}
