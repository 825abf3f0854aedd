/*
 * gate_nl.c - see gate_nl.h: the sending and the awaiting. The messages are in gate_msg.c.
 */
#include "xhad/repl/gate_nl.h"
#include "xhad/base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_BYTES 65536 /* the kernel fills at most 32 KiB at once */

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int xha_nl_open(struct xha_nl *nl, uint32_t groups)
{
    const struct sockaddr_nl self = { .nl_family = AF_NETLINK, .nl_groups = groups };
    const int on = 1, bytes = 1 << 20;
    XHA_CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    *nl = (struct xha_nl){ .fd = -1 };
    if (fd < 0 || bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
        return -errno;
    /* Short acknowledgements with the kernel's own words; both are a comfort only. */
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    nl->fd = xha_steal_fd(&fd);
    return 0;
}

void xha_nl_close(struct xha_nl *nl)
{
    if (nl->fd >= 0)
        close(nl->fd);
    nl->fd = -1;
}

/* ---- awaiting ---- */

struct waiting {
    struct xha_nl *nl;
    uint32_t first_seq;
    size_t n, left;
    xha_nl_heed *heed;
    void *arg;
    int rc;
    size_t failed;
};

/* The kernel's words behind an error, when there are any. */
static void keep_words(struct xha_nl *nl, const struct nlmsghdr *h)
{
    const struct nlmsgerr *e = nlmsg_data(h);
    const size_t head = sizeof(*e) + (h->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - NLMSG_HDRLEN);
    const struct nlattr *a;

    nl->said[0] = '\0';
    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || NLMSG_HDRLEN + NLMSG_ALIGN(head) > h->nlmsg_len)
        return;
    a = nla_find((const struct nlattr *)((const char *)e + NLMSG_ALIGN(head)),
                 (int)(h->nlmsg_len - NLMSG_HDRLEN - NLMSG_ALIGN(head)), NLMSGERR_ATTR_MSG);
    if (a)
        nla_strlcpy(nl->said, a, sizeof(nl->said));
}

static void note(struct waiting *w, size_t index, int rc)
{
    if (rc < 0 && w->rc == 0) {
        w->rc = rc;
        w->failed = index;
    }
}

static void take(struct waiting *w, const struct nlmsghdr *h)
{
    const size_t index = h->nlmsg_seq - w->first_seq;
    const struct nlmsgerr *e = nlmsg_data(h);

    if (index >= w->n)
        return; /* left over from a request that was given up */
    if (h->nlmsg_flags & NLM_F_DUMP_INTR)
        note(w, index, -EINTR); /* something changed meanwhile */
    if (h->nlmsg_type == NLMSG_ERROR) {
        const bool good = h->nlmsg_len >= NLMSG_HDRLEN + sizeof(*e);

        if (good && e->error && w->rc == 0)
            keep_words(w->nl, h);
        note(w, index, good ? e->error : -EBADMSG);
        w->left--;
    } else if (h->nlmsg_type == NLMSG_DONE) {
        w->left--;
    } else if (w->heed) {
        w->heed(h, index, w->arg);
    }
}

static int await(struct waiting *w)
{
    XHA_CLEANUP_FREE char *buf = malloc(REPLY_BYTES);

    if (!buf)
        return -ENOMEM;
    while (w->left) {
        const ssize_t n = recv(w->nl->fd, buf, REPLY_BYTES, 0);
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buf; nlmsg_ok(h, left) && w->left;
             h = nlmsg_next(h, &left))
            take(w, h);
    }
    return w->rc;
}

/* ---- sending ---- */

/* All of them one after the other, as the kernel takes them. NULL: no memory. */
static char *join(struct xha_nl *nl, struct nl_msg **msgs, size_t n, size_t *len_r)
{
    size_t len = 0;
    char *all;

    for (size_t i = 0; i < n; i++) {
        if (!msgs[i])
            return NULL;
        len += NLMSG_ALIGN(nlmsg_hdr(msgs[i])->nlmsg_len);
    }
    all = calloc(1, len ? len : 1);
    *len_r = len;
    len = 0;
    for (size_t i = 0; all && i < n; i++) {
        struct nlmsghdr *h = nlmsg_hdr(msgs[i]);

        h->nlmsg_seq = nl->seq + (uint32_t)i;
        h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
        memcpy(all + len, h, h->nlmsg_len);
        len += NLMSG_ALIGN(h->nlmsg_len);
    }
    return all;
}

int xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
               size_t *failed_r)
{
    struct waiting w = { .nl = nl, .n = n, .left = n, .heed = heed, .arg = arg };
    size_t len = 0;
    XHA_CLEANUP_FREE char *all = NULL;
    int rc;

    nl->said[0] = '\0';
    if (n == 0)
        return 0;
    w.first_seq = ++nl->seq;
    all = join(nl, msgs, n, &len);
    nl->seq += (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        nlmsg_free(msgs[i]);
    if (!all)
        rc = -ENOMEM;
    else if (send(nl->fd, all, len, 0) < 0)
        rc = -errno;
    else
        rc = await(&w);
    if (failed_r)
        *failed_r = w.failed;
    return rc;
}

int xha_nl_ask_one(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg)
{
    return xha_nl_ask(nl, &msg, 1, heed, arg, NULL);
}

int xha_nl_listen(struct xha_nl *nl, xha_nl_heed *heed, void *arg)
{
    XHA_CLEANUP_FREE char *buf = malloc(REPLY_BYTES);

    if (!buf)
        return -ENOMEM;
    for (;;) {
        const ssize_t n = recv(nl->fd, buf, REPLY_BYTES, MSG_DONTWAIT);
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buf; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
            heed(h, 0, arg);
    }
}
