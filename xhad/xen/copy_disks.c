/*
 * copy_disks.c - the verbs send-disks and receive-disks: for a stopped domain whose disks are no other host's.
 *
 * Both ends read the domain's stored configuration; neither copies while the domain is on its host.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct copy {
    struct xha_work *w;
    struct xha_talk talk;
    struct xha_disk *disks;
    size_t n;
    struct xha_wire *wire;
};

/* 0, or -1 after answering. */
static int prepare(struct copy *c)
{
    struct xha_work *w = c->w;
    XHA_CLEANUP_FREE char *text = NULL;
    struct xha_lx_found found;
    char err[256];
    json_t *config;
    size_t len;
    int rc;

    if (xha_lx_find(&w->lx, &w->job.uuid, &found) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
    if (found.alive + found.dying > 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: its disks are not copied while it is here, domain id %d",
                        w->who, (int)found.domid);
        return -1;
    }
    if (xha_file_read(w->job.config, XHA_CONFIG_BYTES_MAX, &text, &len) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s cannot be read: %s", w->who, w->job.config,
                        strerror(errno));
        return -1;
    }
    config = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (config)
        rc = xha_disk_list(config, &c->disks, &c->n, err, sizeof(err));
    else
        rc = snprintf(err, sizeof(err), "%.200s is no configuration", w->job.config) > 0 ? -1 : 0;
    json_decref(config);
    if (rc < 0)
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s: %s", w->who, err);
    return rc;
}

static struct copy begin(struct xha_work *w)
{
    return (struct copy){
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };
}

static void end(struct copy *c, int rc, const char *verb, const struct xha_copied *copied, const char *err)
{
    struct xha_work *w = c->w;

    if (rc < 0) {
        xha_work_refuse(w, copied->refusal, "%s: its disks were not %s: %s", w->who, verb, err);
    } else {
        xha_work_ok(w, "%s: %" PRIu64 " disks were %s, %" PRIu64 " KiB with %" PRIu64 " KiB on the wire",
                    w->who, copied->disks, verb, copied->bytes / 1024, copied->wire_bytes / 1024);
        w->done.data = json_pack("{s:I, s:I, s:I}", "disks", (json_int_t)copied->disks, "bytes",
                                 (json_int_t)copied->bytes, "wire_bytes", (json_int_t)copied->wire_bytes);
    }
}

void xha_perform_send_disks(struct xha_work *w)
{
    struct copy c = begin(w);
    struct xha_copied copied = { 0 };
    struct xha_hello hello = { .version = XHA_WIRE_VERSION,
                               .kind = XHA_HELLO_DISKS,
                               .move_id = w->job.move.id,
                               .uuid = w->job.uuid,
                               .mode = "copy" };
    char err[XHA_ANSWER_TEXT];
    int rc;

    if (prepare(&c) == 0) {
        memcpy(hello.name, w->job.name, sizeof(hello.name));
        rc = xha_talk_connect(&c.talk, &c.wire, err, sizeof(err));
        if (rc == 0)
            rc = xha_talk_offer(&c.talk, c.wire, &hello, NULL, &copied.refusal, err, sizeof(err));
        if (rc == 0)
            rc = xha_disk_send_all(&c.talk, c.wire, c.disks, c.n, &copied, err, sizeof(err));
        end(&c, rc, "sent", &copied, err);
    }
    xha_wire_free(c.wire);
    free(c.disks);
}

void xha_perform_receive_disks(struct xha_work *w)
{
    struct copy c = begin(w);
    struct xha_copied copied = { 0 };
    struct xha_hello hello;
    char err[XHA_ANSWER_TEXT];
    int rc;

    if (prepare(&c) == 0) {
        rc = xha_talk_accept(&c.talk, XHA_HELLO_DISKS, STDOUT_FILENO, &c.wire, &hello, err, sizeof(err));
        if (rc == 0) {
            xha_talk_answer(&c.talk, c.wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
            rc = xha_disk_receive_all(&c.talk, c.wire, c.disks, c.n, &copied, err, sizeof(err));
        }
        end(&c, rc, "received", &copied, err);
        if (c.wire)
            xha_talk_answer(&c.talk, c.wire, rc == 0 ? XHA_ANSWER_DONE : XHA_ANSWER_REFUSED, w->done.refusal,
                            w->done.message);
    }
    xha_wire_free(c.wire);
    free(c.disks);
}
