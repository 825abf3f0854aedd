/*
 * observe.c - packs, checks and carries the messages of observe.h.
 *
 * The wire struct has only fixed-width fields, so that a packet with a wild byte in it cannot make a bool or
 * an enum with a value that the compiler does not know. Both ends are built from one source; the version is
 * there for the moment of an upgrade, when a new daemon starts while an old observer still runs.
 */
#include "xhad/base/observe.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>

#define OBS_MAGIC    0x6f414858u /* "XHAo" */
#define OBS_VERSION  1
#define OBS_BUFFER   (4 << 20) /* bytes, room for thousands of messages */
#define INTERVAL_MIN 50
#define INTERVAL_MAX 3600000

enum {
    F_PAUSED = 1 << 0,
    F_DYING = 1 << 1,
    F_SHUT = 1 << 2,
    F_BEAT_READ = 1 << 3,
    F_BEAT_VALID = 1 << 4,
    F_SEEN_ALL = (1 << 5) - 1,
    F_BEATS = 1 << 0,
    F_XENSTORE = 1 << 1,
    F_ROUND_ALL = (1 << 2) - 1,
};

struct wire {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint8_t uuid[16];
    int32_t domid;
    uint32_t flags;
    uint32_t reason;
    uint32_t count[3];
    int64_t ms[2];
    uint64_t number[2];
    char word[XHA_OBS_BYTES - 80];
};

static_assert(sizeof(struct wire) == XHA_OBS_BYTES, "one size for every message");
static_assert(sizeof(((struct wire *)0)->word) >= XHA_OBS_KEY_MAX, "a key fits");
static_assert(sizeof(((struct wire *)0)->word) >= 2 * XHA_OBS_WORD_MAX, "both words of READY fit");

static unsigned flag(bool on, unsigned bit)
{
    return on ? bit : 0;
}

static void put_seen(struct wire *w, const struct xha_seen *s)
{
    w->domid = s->domid;
    w->ms[0] = s->listed.ms;
    w->flags = flag(s->paused, F_PAUSED) | flag(s->dying, F_DYING) | flag(s->shut, F_SHUT) |
               flag(s->beat_read, F_BEAT_READ) | flag(s->beat_valid, F_BEAT_VALID);
    w->reason = s->reason;
    w->number[0] = s->beat;
    w->number[1] = s->cpu_time_ns;
}

static int get_seen(const struct wire *w, struct xha_seen *s_r)
{
    if (w->domid < 0 || w->ms[0] < 0 || (w->flags & ~F_SEEN_ALL) != 0 || w->reason > UINT8_MAX)
        return XHA_OBS_E_BAD;
    *s_r = (struct xha_seen){
        .listed = { w->ms[0] },
        .domid = w->domid,
        .paused = (w->flags & F_PAUSED) != 0,
        .dying = (w->flags & F_DYING) != 0,
        .shut = (w->flags & F_SHUT) != 0,
        .reason = (uint8_t)w->reason,
        .beat_read = (w->flags & F_BEAT_READ) != 0,
        .beat_valid = (w->flags & F_BEAT_VALID) != 0,
        .beat = w->number[0],
        .cpu_time_ns = w->number[1],
    };
    return XHA_OBS_OK;
}

static void put_round(struct wire *w, const struct xha_obs *obs)
{
    const struct xha_round *r = &obs->u.round.r;

    w->flags = flag(r->beats_read, F_BEATS) | flag(r->xenstore_ok, F_XENSTORE);
    w->ms[0] = r->began.ms;
    w->ms[1] = r->lag.ms;
    w->count[0] = r->failed_reads;
    w->count[1] = obs->u.round.store_ops;
    w->count[2] = obs->u.round.hypercalls;
    w->number[0] = obs->u.round.memory_kib;
    w->number[1] = obs->u.round.free_kib;
    w->reason = obs->u.round.pcpus;
}

static int get_round(const struct wire *w, struct xha_obs *obs_r)
{
    if ((w->flags & ~F_ROUND_ALL) != 0 || w->ms[0] < 0 || w->ms[1] < 0)
        return XHA_OBS_E_BAD;
    obs_r->u.round.r = (struct xha_round){
        .began = { w->ms[0] },
        .beats_read = (w->flags & F_BEATS) != 0,
        .xenstore_ok = (w->flags & F_XENSTORE) != 0,
        .failed_reads = w->count[0],
        .lag = { w->ms[1] },
    };
    obs_r->u.round.store_ops = w->count[1];
    obs_r->u.round.hypercalls = w->count[2];
    obs_r->u.round.memory_kib = w->number[0];
    obs_r->u.round.free_kib = w->number[1];
    obs_r->u.round.pcpus = w->reason;
    return XHA_OBS_OK;
}

/* A NUL-terminated word of at most size-1 bytes, all printable ASCII. */
static bool word_ok(const char *word, size_t size)
{
    size_t n = strnlen(word, size);

    if (n == size)
        return false;
    for (size_t i = 0; i < n; i++)
        if (word[i] < 0x20 || word[i] > 0x7e)
            return false;
    return true;
}

static int put_word(char *to, size_t size, const char *word, size_t word_size)
{
    size_t n = strnlen(word, word_size);

    if (n == word_size || n >= size)
        return XHA_OBS_E_BAD;
    memcpy(to, word, n);
    return XHA_OBS_OK;
}

int xha_obs_pack(const struct xha_obs *obs, uint8_t buf_r[XHA_OBS_BYTES])
{
    struct wire w = { .magic = OBS_MAGIC, .version = OBS_VERSION, .type = (uint16_t)obs->type };
    int rc = XHA_OBS_OK;

    memcpy(w.uuid, obs->uuid.b, sizeof(w.uuid));
    switch (obs->type) {
    case XHA_OBS_CONFIG:
        w.ms[0] = obs->u.config.round_interval_ms;
        break;
    case XHA_OBS_TRACK:
        rc = put_word(w.word, sizeof(w.word), obs->u.track.key, sizeof(obs->u.track.key));
        break;
    case XHA_OBS_UNTRACK:
    case XHA_OBS_LOOK:
        break;
    case XHA_OBS_PROBE:
        w.domid = obs->u.probe.domid;
        break;
    case XHA_OBS_READY:
        rc = put_word(w.word, XHA_OBS_WORD_MAX, obs->u.ready.version, sizeof(obs->u.ready.version));
        if (rc == XHA_OBS_OK)
            rc = put_word(w.word + XHA_OBS_WORD_MAX, XHA_OBS_WORD_MAX, obs->u.ready.scheduler,
                          sizeof(obs->u.ready.scheduler));
        break;
    case XHA_OBS_SEEN:
        put_seen(&w, &obs->u.seen);
        break;
    case XHA_OBS_ROUND:
        put_round(&w, obs);
        break;
    case XHA_OBS_PROBED:
        w.domid = obs->u.probed.domid;
        w.number[0] = obs->u.probed.io_count;
        w.number[1] = obs->u.probed.cpu_time_ns;
        break;
    default:
        rc = XHA_OBS_E_BAD;
    }
    memcpy(buf_r, &w, sizeof(w));
    return rc;
}

static int get_ready(const struct wire *w, struct xha_obs *obs_r)
{
    if (!word_ok(w->word, XHA_OBS_WORD_MAX) || !word_ok(w->word + XHA_OBS_WORD_MAX, XHA_OBS_WORD_MAX))
        return XHA_OBS_E_BAD;
    memcpy(obs_r->u.ready.version, w->word, XHA_OBS_WORD_MAX);
    memcpy(obs_r->u.ready.scheduler, w->word + XHA_OBS_WORD_MAX, XHA_OBS_WORD_MAX);
    return XHA_OBS_OK;
}

int xha_obs_unpack(const void *buf, size_t len, struct xha_obs *obs_r)
{
    struct wire w;

    memset(obs_r, 0, sizeof(*obs_r));
    if (len != sizeof(w))
        return XHA_OBS_E_BAD;
    memcpy(&w, buf, sizeof(w));
    if (w.magic != OBS_MAGIC || w.version != OBS_VERSION || w.type < XHA_OBS_CONFIG || w.type >= XHA_OBS_END_)
        return XHA_OBS_E_BAD;

    obs_r->type = (enum xha_obs_type)w.type;
    memcpy(obs_r->uuid.b, w.uuid, sizeof(w.uuid));
    switch (obs_r->type) {
    case XHA_OBS_CONFIG:
        obs_r->u.config.round_interval_ms = w.ms[0];
        return w.ms[0] >= INTERVAL_MIN && w.ms[0] <= INTERVAL_MAX ? XHA_OBS_OK : XHA_OBS_E_BAD;
    case XHA_OBS_TRACK:
        if (!word_ok(w.word, XHA_OBS_KEY_MAX) || (w.word[0] != '\0' && !xha_obs_key_ok(w.word)))
            return XHA_OBS_E_BAD;
        memcpy(obs_r->u.track.key, w.word, XHA_OBS_KEY_MAX);
        return XHA_OBS_OK;
    case XHA_OBS_PROBE:
        obs_r->u.probe.domid = w.domid;
        return w.domid > 0 ? XHA_OBS_OK : XHA_OBS_E_BAD;
    case XHA_OBS_READY:
        return get_ready(&w, obs_r);
    case XHA_OBS_SEEN:
        return get_seen(&w, &obs_r->u.seen);
    case XHA_OBS_ROUND:
        return get_round(&w, obs_r);
    case XHA_OBS_PROBED:
        obs_r->u.probed =
            (struct xha_probed){ .domid = w.domid, .cpu_time_ns = w.number[1], .io_count = w.number[0] };
        return w.domid > 0 ? XHA_OBS_OK : XHA_OBS_E_BAD;
    default: /* UNTRACK, LOOK: nothing more in them */
        return XHA_OBS_OK;
    }
}

int xha_obs_pair(int *ours_r, int *theirs_r)
{
    int fds[2], size = OBS_BUFFER;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return XHA_OBS_E_SYS;
    for (int i = 0; i < 2; i++) /* root may pass the system's limit; others get what it allows */
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
            (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
        int e = errno;

        close(fds[0]);
        close(fds[1]);
        errno = e;
        return XHA_OBS_E_SYS;
    }
    *ours_r = fds[0];
    *theirs_r = fds[1];
    return XHA_OBS_OK;
}

int xha_obs_send(int fd, const struct xha_obs *obs)
{
    uint8_t buf[XHA_OBS_BYTES];
    ssize_t n;
    int rc;

    rc = xha_obs_pack(obs, buf);
    if (rc != XHA_OBS_OK)
        return rc;
    do {
        n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == sizeof(buf))
        return XHA_OBS_OK;
    if (n >= 0)
        return XHA_OBS_E_BAD;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return XHA_OBS_E_AGAIN;
    return errno == EPIPE || errno == ECONNRESET ? XHA_OBS_E_CLOSED : XHA_OBS_E_SYS;
}

int xha_obs_recv(int fd, struct xha_obs *obs_r)
{
    uint8_t buf[XHA_OBS_BYTES + 1]; /* one more, so that too long a packet shows */
    ssize_t n;

    do {
        n = recv(fd, buf, sizeof(buf), 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return XHA_OBS_E_CLOSED;
    if (n > 0)
        return xha_obs_unpack(buf, (size_t)n, obs_r);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return XHA_OBS_E_AGAIN;
    return errno == ECONNRESET ? XHA_OBS_E_CLOSED : XHA_OBS_E_SYS;
}

bool xha_obs_key_ok(const char *key)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const char *p = key;

    for (;;) {
        size_t n = strspn(p, allowed);

        if (n == 0)
            return false;
        p += n;
        if (*p == '\0')
            return (size_t)(p - key) < XHA_OBS_KEY_MAX;
        if (*p++ != '/')
            return false;
    }
}

bool xha_obs_beat_parse(const void *bytes, size_t len, uint64_t *beat_r)
{
    const uint8_t *b = bytes;
    uint64_t beat = 0;

    if (len < 1 || len > 20)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)b[i] - '0';

        if (digit > 9 || beat > (UINT64_MAX - digit) / 10)
            return false;
        beat = beat * 10 + digit;
    }
    *beat_r = beat;
    return true;
}
