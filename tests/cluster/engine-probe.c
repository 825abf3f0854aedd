/*
 * engine-probe.c - the cluster's engine by hand: says on standard output what it is told, and does what it
 * reads on standard input.
 *
 *   say TEXT           sends TEXT
 *   flood COUNT BYTES  sends COUNT messages of so many bytes, as the queue has room
 *   info               prints hosts and votes
 *   close              leaves
 *
 * Output, a line each: up HOST · quorum yes|no [exclusive] · view ID members=… joined=… left=HOST:WHY,… · message HOST
 * BYTES HASH TEXT · hosts · down WHY · closed. Hosts by their ids.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "xhad/base/text.h"
#include "xhad/cluster/engine.h"

static uv_loop_t loop;
static struct xha_engine *engine;
static uv_poll_t input;
static uv_idle_t flood;
static unsigned long flood_left, flood_done;
static size_t flood_bytes;
static uint8_t self;
static char line[4096];
static size_t line_len;

static void on_up(void *arg, uint8_t host)
{
    (void)arg;
    self = host;
    printf("up %u\n", host);
}

static void print_view(const struct xha_engine_view *view)
{
    static const char *const why[] = { "left", "proc", "node" };

    printf("view %016llx members=", (unsigned long long)view->id);
    for (size_t i = 0; i < view->n; i++)
        printf("%s%u", i ? "," : "", view->host[i]);
    printf(" joined=");
    for (size_t i = 0; i < view->n_joined; i++)
        printf("%s%u", i ? "," : "", view->joined[i]);
    printf(" left=");
    for (size_t i = 0; i < view->n_left; i++)
        printf("%s%u:%s", i ? "," : "", view->left[i].host, why[view->left[i].why]);
    printf("\n");
}

static void on_view(void *arg, const struct xha_engine_view *view)
{
    (void)arg;
    print_view(view);
}

static void on_quorum(void *arg, bool quorate, bool exclusive)
{
    (void)arg;
    printf("quorum %s%s\n", quorate ? "yes" : "no", exclusive ? " exclusive" : "");
}

static void on_deliver(void *arg, uint8_t host, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325u;
    char text[65];

    (void)arg;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    printf("message %u %zu %016llx %s\n", host, len, (unsigned long long)hash,
           xha_text_escape_bytes(text, sizeof text, data, strnlen(data, len)));
}

static void on_hosts(void *arg)
{
    (void)arg;
    printf("hosts\n");
}

static void on_down(void *arg, const char *why)
{
    (void)arg;
    printf("down %s\n", why);
}

static void on_closed(void *arg)
{
    (void)arg;
    printf("closed\n");
    uv_stop(&loop);
}

/* Random bytes, so that nothing lost or doubled can go unseen; the text in front says which it is. */
static void on_flood(uv_idle_t *idle)
{
    static uint8_t *buf;
    int rc;

    buf = buf ? buf : malloc(XHA_ENGINE_MESSAGE_MAX);
    memset(buf, 0, flood_bytes);
    for (size_t i = 64; i < flood_bytes; i++)
        buf[i] = (uint8_t)(rand() >> 7);
    snprintf((char *)buf, flood_bytes, "%u#%lu", self, flood_done);
    rc = xha_engine_send(engine, buf, flood_bytes);
    if (rc == 0) {
        flood_done++;
        flood_left--;
    }
    if (!flood_left || (rc < 0 && rc != XHA_ENGINE_E_FULL)) {
        printf("flood ends after %lu: %d\n", flood_done, rc);
        uv_idle_stop(idle);
    }
}

static void print_info(void)
{
    const struct xha_engine_quorum *q = xha_engine_quorum(engine);
    const struct xha_engine_host *host = xha_engine_hosts(engine);

    printf("votes %u/%u needed=%u two_node=%d wait_for_all=%d token=%u cluster=%s\n", q->total_votes,
           q->expected_votes, q->needed, q->two_node, q->wait_for_all, xha_engine_token_ms(engine),
           xha_engine_cluster_name(engine));
    for (unsigned i = 0; i < XHA_ENGINE_HOSTS_MAX; i++) {
        if (host[i].configured)
            printf("host %u %s %s %s\n", i, host[i].name, host[i].address[0], host[i].address[1]);
    }
}

static void obey(const char *word)
{
    if (!strncmp(word, "say ", 4)) {
        int rc = xha_engine_send(engine, word + 4, strlen(word + 4));

        if (rc < 0)
            printf("cannot send: %d\n", rc);
    } else if (sscanf(word, "flood %lu %zu", &flood_left, &flood_bytes) == 2 && flood_left &&
               flood_bytes >= 64 && flood_bytes <= XHA_ENGINE_MESSAGE_MAX) {
        flood_done = 0;
        uv_idle_start(&flood, on_flood);
    } else if (!strcmp(word, "info")) {
        print_info();
    } else if (!strcmp(word, "close")) {
        xha_engine_close(engine);
    } else {
        printf("not understood: %s\n", word);
    }
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    ssize_t r = read(STDIN_FILENO, line + line_len, sizeof line - 1 - line_len);
    char *end;

    (void)status;
    (void)events;
    if (r <= 0) {
        uv_poll_stop(poll);
        xha_engine_close(engine);
        return;
    }
    line_len += (size_t)r;
    line[line_len] = '\0';
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        obey(line);
        line_len -= (size_t)(end + 1 - line);
        memmove(line, end + 1, line_len + 1);
    }
}

int main(void)
{
    static const struct xha_engine_ops ops = {
        .up = on_up,
        .view = on_view,
        .quorum = on_quorum,
        .deliver = on_deliver,
        .hosts = on_hosts,
        .down = on_down,
        .closed = on_closed,
    };

    setlinebuf(stdout);
    srand((unsigned)getpid());
    uv_loop_init(&loop);
    uv_idle_init(&loop, &flood);
    uv_poll_init(&loop, &input, STDIN_FILENO);
    uv_poll_start(&input, UV_READABLE, on_input);
    if (xha_engine_open(&loop, &ops, NULL, &engine) < 0)
        return 1;
    uv_run(&loop, UV_RUN_DEFAULT);
    xha_engine_free(engine);
    return 0;
}
