/*
 * poke.c - the stories' client of the control socket, which may also misbehave.
 *
 *   poke SOCKET ask REQUEST [PATH]
 *       one request; prints the member of the answer at PATH ("result.0.name")
 *   poke SOCKET until NAME FIELD VALUE[|VALUE] MS
 *       asks until a domain's entry in `list` says so; prints what it says
 *   poke SOCKET raw MS
 *       standard input to xhad, what it says to standard output, until xhad hangs up, or has been quiet
 *       for MS after the input's end
 *   poke SOCKET crowd N
 *       N clients at once; prints how many were answered and how many were turned away
 *
 * Exit code 0; 1: the answer is an error, or the time is over; 2: usage; 3: no connection.
 */
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define ANSWER_MS 20000
#define POLL_MS   20

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    fprintf(stderr, "poke: %s: %s\n", path, strerror(errno));
    exit(3);
}

/* The next line without its newline; NULL at the end, or when none comes in time. */
static char *next_line(int fd, int wait_ms)
{
    char *line = NULL;
    size_t n = 0;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (n % 4096 == 0) {
            char *grown = realloc(line, n + 4097);

            if (!grown)
                abort();
            line = grown;
        }
        if (poll(&p, 1, wait_ms) <= 0 || read(fd, line + n, 1) != 1) {
            free(line);
            return NULL;
        }
        if (line[n] == '\n') {
            line[n] = '\0';
            return line;
        }
        n++;
    }
}

/* The answer to a request; progress is passed over. Ends the process when there is none. */
static json_t *ask(int fd, const char *request)
{
    json_t *json = json_loads(request, 0, NULL);
    XHA_CLEANUP_FREE char *text = NULL;
    char *line;

    if (!json_object_get(json, "v"))
        json_object_set_new(json, "v", json_integer(1));
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!text) {
        fprintf(stderr, "poke: %s: no JSON object\n", request);
        exit(2);
    }
    if (xha_write_all(fd, text, strlen(text)) < 0 || xha_write_all(fd, "\n", 1) < 0)
        exit(3);
    while ((line = next_line(fd, ANSWER_MS)) != NULL) {
        json = json_loads(line, 0, NULL);
        free(line);
        if (json_object_get(json, "ok"))
            return json;
        json_decref(json);
    }
    fprintf(stderr, "poke: no answer\n");
    exit(3);
}

static const json_t *member(const json_t *json, const char *path)
{
    char word[64];

    while (json && *path) {
        size_t n = strcspn(path, ".");

        snprintf(word, sizeof word, "%.*s", (int)n, path);
        json =
            json_is_array(json) ? json_array_get(json, strtoul(word, NULL, 10)) : json_object_get(json, word);
        path += path[n] ? n + 1 : n;
    }
    return json;
}

static const char *as_text(const json_t *json, char **free_r)
{
    *free_r = NULL;
    if (!json)
        return "";
    if (json_is_string(json))
        return json_string_value(json);
    *free_r = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    return *free_r ? *free_r : "";
}

static int do_ask(int fd, const char *request, const char *path)
{
    json_t *answer = ask(fd, request);
    bool ok = json_is_true(json_object_get(answer, "ok"));
    XHA_CLEANUP_FREE char *text = NULL;

    puts(as_text(member(answer, path), &text));
    json_decref(answer);
    return ok ? 0 : 1;
}

/* Whether value is one of the words between bars. */
static bool is_one_of(const char *value, const char *words)
{
    size_t n = strlen(value);

    for (const char *w = words; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strncmp(w, value, n) == 0 && (w[n] == '|' || w[n] == '\0'))
            return true;
    return false;
}

static int do_until(int fd, char **arg)
{
    int64_t end = now_ms() + strtol(arg[3], NULL, 10);

    for (;;) {
        json_t *answer = ask(fd, "{\"cmd\":\"list\"}"), *entry;
        bool over = now_ms() >= end, found = false;
        size_t i;

        json_array_foreach(json_object_get(answer, "result"), i, entry)
        {
            XHA_CLEANUP_FREE char *text = NULL;
            const char *name = json_string_value(json_object_get(entry, "name")), *value;

            if (!name || strcmp(name, arg[0]) != 0)
                continue;
            value = as_text(json_object_get(entry, arg[1]), &text);
            found = is_one_of(value, arg[2]);
            if (found || over)
                puts(value);
        }
        json_decref(answer);
        if (found || over)
            return found ? 0 : 1;
        usleep(POLL_MS * 1000);
    }
}

static int do_raw(int fd, int quiet_ms)
{
    struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
    char buf[65536];
    ssize_t n;

    while (poll(p, 2, p[1].fd < 0 ? quiet_ms : -1) > 0) {
        if (p[1].revents) {
            n = read(STDIN_FILENO, buf, sizeof buf);
            if (n <= 0)
                p[1].fd = -1;
            else if (xha_write_all(fd, buf, (size_t)n) < 0)
                p[1].fd = -1; /* it hangs up: its last words are still to be read */
        }
        if (p[0].revents) {
            n = read(fd, buf, sizeof buf);
            if (n <= 0)
                return 0;
            if (xha_write_all(STDOUT_FILENO, buf, (size_t)n) < 0)
                return 3;
        }
    }
    return 0;
}

/* All connect first, then each asks: those that were turned away hear of it. */
static int do_crowd(const char *path, int n)
{
    static const char request[] = "{\"v\":1,\"cmd\":\"version\"}\n";
    int answered = 0, refused = 0, *fd = calloc((size_t)n, sizeof *fd);

    if (!fd)
        return 3;
    for (int i = 0; i < n; i++)
        fd[i] = open_socket(path);
    for (int i = 0; i < n; i++) {
        XHA_CLEANUP_FREE char *line = NULL;

        /* May fail for one that is turned away: what it is told is there all the same. */
        (void)xha_write_all(fd[i], request, sizeof request - 1);
        line = next_line(fd[i], ANSWER_MS);
        answered += line && strstr(line, "\"ok\":true") != NULL;
        refused += line && strstr(line, "\"code\":\"busy\"") != NULL;
    }
    for (int i = 0; i < n; i++)
        close(fd[i]);
    free(fd);
    printf("%d %d\n", answered, refused);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if ((argc == 4 || argc == 5) && strcmp(argv[2], "ask") == 0)
        return do_ask(open_socket(argv[1]), argv[3], argc == 5 ? argv[4] : "");
    if (argc == 7 && strcmp(argv[2], "until") == 0)
        return do_until(open_socket(argv[1]), argv + 3);
    if (argc == 4 && strcmp(argv[2], "raw") == 0)
        return do_raw(open_socket(argv[1]), (int)strtol(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[2], "crowd") == 0)
        return do_crowd(argv[1], (int)strtol(argv[3], NULL, 10));
    fprintf(stderr, "usage: poke SOCKET ask REQUEST [PATH] | until NAME FIELD VALUE MS | raw MS | crowd N\n");
    return 2;
}
