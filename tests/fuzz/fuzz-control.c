/*
 * The control socket: arbitrary bytes from a client, through the real socket, its line cutting and the parser
 * of requests. Every line that comes back must be a JSON object that says "ok" or why not; nothing may be
 * answered that was not asked. Bytes 0xff in the input are where the client pauses, so that lines arrive in
 * pieces.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "xhad/ctl/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static struct xha_control *control;
static char dir[64], sock[128];
static unsigned asked, answered;

/* Asks of the request all that commands ask, and answers in one of three ways. */
static void on_request(void *user, uint64_t client, const struct xha_control_request *request)
{
    char small[4], name[128];
    json_int_t number = 1;
    bool flag = false, good;

    (void)user;
    asked++;
    if (!request->cmd)
        abort();
    good = xha_request_text(request, "domain", name, sizeof(name));
    good &= xha_request_text(request, "domain", small, sizeof(small));
    good &= xha_request_int(request, "lines", 1, 1000, &number);
    good &= xha_request_bool(request, "follow", &flag);
    if (number < 1 || number > 1000)
        abort();
    if (!good)
        xha_control_error(control, client, "bad-request", "an argument is wrong", "look it up");
    else if (request->wait)
        xha_control_error(control, client, "no-such-domain", request->cmd, NULL);
    else
        xha_control_ok(control, client, json_pack("{s:s}", "cmd", request->cmd));
}

static void clean_up(void)
{
    xha_control_close(control);
    uv_run(&loop, UV_RUN_DEFAULT);
    xha_control_free(control);
    uv_loop_close(&loop);
    rmdir(dir);
}

static void begin(void)
{
    char err[256];

    strcpy(dir, "/dev/shm/xha-fuzz-XXXXXX");
    if (!mkdtemp(dir) || uv_loop_init(&loop) < 0)
        abort();
    control = xha_control_new(&loop, dir, on_request, NULL, err, sizeof(err));
    if (!control)
        abort();
    snprintf(sock, sizeof(sock), "%s/control.sock", dir);
    atexit(clean_up);
}

/* Lines are whole when the client has gone on reading; each is one answer. */
static void check_answers(const char *text, size_t len)
{
    while (len) {
        const char *end = memchr(text, '\n', len);
        json_t *answer;

        if (!end)
            abort();
        answer = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(answer) || !json_is_boolean(json_object_get(answer, "ok")))
            abort();
        if (!json_is_object(
                json_object_get(answer, json_is_true(json_object_get(answer, "ok")) ? "result" : "error")))
            abort();
        json_decref(answer);
        answered++;
        len -= (size_t)(end + 1 - text);
        text = end + 1;
    }
}

static void read_answers(int fd)
{
    static char text[4 * 1024 * 1024];
    size_t len = 0;
    ssize_t r;

    while ((r = recv(fd, text + len, sizeof(text) - len, MSG_DONTWAIT)) > 0)
        len += (size_t)r;
    check_answers(text, len);
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd;

    if (!control)
        begin();
    asked = answered = 0;
    strcpy(sun.sun_path, sock);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
        abort();
    turn();
    while (size) {
        const uint8_t *pause = memchr(data, 0xff, size);
        size_t n = pause ? (size_t)(pause - data) : size;

        if (n && send(fd, data, n, MSG_NOSIGNAL) < 0 && errno != EPIPE)
            abort();
        turn();
        data += n + (pause != NULL);
        size -= n + (pause != NULL);
    }
    turn();
    read_answers(fd);
    if (answered < asked)
        abort();
    close(fd);
    turn();
    return 0;
}
