/*
 * replicate_gate.c - see replicate_gate.h.
 */
#include "xhad/xen/replicate_gate.h"
#include "xhad/xen/work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SYSFS         "/sys"
#define QUEUE_MAX_KIB 16384 /* where the job does not say */
#define TAKE_DOWN_MS  1000

struct ports {
    size_t n;
    struct xha_gate_port port[XHA_GATE_PORTS_MAX];
};

static int list_ports(uint32_t domid, struct ports *ports_r, char *err, size_t err_len)
{
    memset(ports_r, 0, sizeof(*ports_r));
    if (xha_gate_ports(SYSFS, domid, ports_r->port, XHA_GATE_PORTS_MAX, &ports_r->n) == 0)
        return 0;
    snprintf(err, err_len, "its network devices cannot be listed: %s",
             errno == ENOSPC ? "there are too many" : strerror(errno));
    return -1;
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->port[i].devid != b->port[i].devid || a->port[i].emulated != b->port[i].emulated ||
            strcmp(a->port[i].vif, b->port[i].vif) != 0)
            return false;
    return true;
}

/* Whose backend is in another domain sends past any gate of ours. */
static int check_all_here(const struct ports *ports, const libxl_domain_config *config, char *err,
                          size_t err_len)
{
    size_t vifs = 0;

    for (size_t i = 0; i < ports->n; i++)
        vifs += !ports->port[i].emulated;
    if (config->num_nics < 0 || vifs == (size_t)config->num_nics)
        return 0;
    snprintf(
        err, err_len,
        "it has %d network devices, but this dom0 has %zu of them: what it sends through a driver domain, or "
        "through a device that is not set up, cannot be held back",
        config->num_nics, vifs);
    return -1;
}

static void close_gate(struct xha_sender_gate *gate)
{
    xha_gate_close(gate->gate);
    gate->gate = NULL;
}

/* Takes it away, after an error that err already has. */
static int undo(struct xha_sender_gate *gate)
{
    char ignored[XHA_GATE_TEXT];

    xha_gate_take_down(gate->gate, xha_now_ms() + TAKE_DOWN_MS, ignored, sizeof(ignored));
    gate->gate = NULL;
    return -1;
}

int xha_sender_gate_set_up(struct xha_sender_gate *gate, uint32_t domid, const libxl_domain_config *config,
                           uint32_t queue_max_kib, char *err, size_t err_len)
{
    const uint32_t limit_kib = queue_max_kib ? queue_max_kib : QUEUE_MAX_KIB;
    const uint32_t limit_bytes = limit_kib < UINT32_MAX / 1024 ? limit_kib * 1024 : UINT32_MAX;
    struct ports ports, again;

    *gate = (struct xha_sender_gate){ .domid = domid };
    if (list_ports(domid, &ports, err, err_len) < 0 || check_all_here(&ports, config, err, err_len) < 0)
        return -1;
    if (ports.n == 0)
        return 0;
    if (xha_gate_set_up(ports.port, ports.n, limit_bytes, &gate->gate, err, err_len) < 0)
        return -1;
    if (xha_gate_state(gate->gate) == XHA_GATE_FOUND) {
        snprintf(err, err_len,
                 "a gate that was shut before is still there, and is opened by order alone (xhad-xen's verb "
                 "gate)");
        close_gate(gate);
        return -1;
    }
    if (list_ports(domid, &again, err, err_len) < 0)
        return undo(gate);
    if (!same_ports(&ports, &again)) {
        snprintf(err, err_len, "its network devices changed meanwhile; it can be tried again");
        return undo(gate);
    }
    return xha_gate_open(gate->gate, err, err_len) < 0 ? undo(gate) : 0;
}

int xha_sender_gate_epoch(struct xha_sender_gate *gate, char *err, size_t err_len)
{
    if (!gate->gate)
        return 0;
    if (gate->shut)
        return xha_gate_barrier(gate->gate, err, err_len);
    if (xha_gate_shut(gate->gate, err, err_len) < 0)
        return -1;
    gate->shut = true;
    return 0;
}

/* A device that came since sends past the gate; a domain without a gate has no news of them but this. */
static int check_unchanged(struct xha_sender_gate *gate, char *err, size_t err_len)
{
    char what[XHA_GATE_TEXT / 2];
    struct ports ports;

    if (gate->gate) {
        if (!xha_gate_vifs_changed(gate->gate, what, sizeof(what)))
            return 0;
    } else {
        if (list_ports(gate->domid, &ports, what, sizeof(what)) == 0 && ports.n == 0)
            return 0;
        if (ports.n > 0)
            snprintf(what, sizeof(what), "network device %s came", ports.port[0].vif);
    }
    snprintf(err, err_len, "%s: protection must begin anew", what);
    return -1;
}

int xha_sender_gate_commit(struct xha_sender_gate *gate, char *err, size_t err_len)
{
    if (gate->gate && xha_gate_state(gate->gate) == XHA_GATE_SEALED &&
        xha_gate_release_one(gate->gate, err, err_len) < 0)
        return -1;
    return check_unchanged(gate, err, err_len);
}

void xha_sender_gate_measure(struct xha_sender_gate *gate, struct xha_job_epoch *line)
{
    struct xha_gate_stats stats;
    char ignored[XHA_GATE_TEXT];

    if (!gate->gate || xha_gate_stats(gate->gate, &stats, ignored, sizeof(ignored)) < 0)
        return;
    line->held_packets = stats.held_packets;
    line->held_bytes = stats.held_bytes;
    line->dropped_packets = stats.dropped_packets;
    line->delay_us = stats.delay_us;
}

int xha_sender_gate_leave(struct xha_sender_gate *gate, char *err, size_t err_len)
{
    int rc = 0;

    if (gate->gate && !gate->shut) {
        rc = xha_gate_take_down(gate->gate, xha_now_ms() + TAKE_DOWN_MS, err, err_len);
        gate->gate = NULL;
    }
    close_gate(gate);
    return rc;
}
