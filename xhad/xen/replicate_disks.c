/*
 * replicate_disks.c - see replicate_disks.h.
 */
#include "xhad/xen/replicate_disks.h"

#include <stdio.h>
#include <string.h>

int xha_disks_gated(const libxl_domain_config *config, struct xha_gate_disks *disks_r,
                    const libxl_device_disk **other_r, char *err, size_t err_len)
{
    *disks_r = (struct xha_gate_disks){ 0 };
    *other_r = NULL;
    for (int i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *disk = &config->disks[i];
        const char *name = disk->pdev_path ? xha_gate_name(disk->pdev_path) : NULL;

        if (!disk->readwrite || disk->is_cdrom)
            continue;
        if (!name) {
            *other_r = disk;
        } else if (disks_r->n == XHA_GATE_DISKS_MAX) {
            snprintf(err, err_len, "it has more than %d gated disks", XHA_GATE_DISKS_MAX);
            return -1;
        } else {
            snprintf(disks_r->name[disks_r->n++], XHA_GATE_NAME_MAX, "%s", name);
        }
    }
    return 0;
}

/* ---- for the sender's thread ---- */

static int pass(void *arg, size_t max_bytes, xha_beside_put_cb put, void *put_arg, char *err, size_t err_len)
{
    return xha_gate_out_pass(arg, max_bytes, put, put_arg, err, err_len);
}

static int out_hear(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len)
{
    return xha_gate_out_hear(arg, payload, len, err, err_len);
}

static bool has_passed(void *arg, uint64_t epoch)
{
    return xha_gate_out_has_passed(arg, epoch);
}

struct xha_out_beside xha_disks_out_beside(struct xha_gate_out *gate)
{
    return (struct xha_out_beside){
        .fd = xha_gate_out_fd(gate),
        .arg = gate,
        .pass = pass,
        .hear = out_hear,
        .has_passed = has_passed,
    };
}

/* ---- for the receiver's ---- */

static bool has_room(void *arg)
{
    return xha_gate_in_has_room(arg);
}

static int in_hear(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len)
{
    return xha_gate_in_hear(arg, payload, len, err, err_len);
}

static bool is_used(void *arg)
{
    return xha_gate_in_is_used(arg);
}

static int hold(void *arg, uint64_t epoch, char *err, size_t err_len)
{
    return xha_gate_in_hold(arg, epoch, err, err_len);
}

static int turn(void *arg, xha_beside_put_cb put, void *put_arg, uint64_t *held_r, char *err, size_t err_len)
{
    return xha_gate_in_turn(arg, put, put_arg, held_r, err, err_len);
}

struct xha_in_beside xha_disks_in_beside(struct xha_gate_in *gate)
{
    return (struct xha_in_beside){
        .fd = xha_gate_in_fd(gate),
        .arg = gate,
        .has_room = has_room,
        .hear = in_hear,
        .is_used = is_used,
        .hold = hold,
        .turn = turn,
    };
}

/* ---- by order ---- */

int xha_disks_end(const libxl_domain_config *config, char *err, size_t err_len)
{
    const libxl_device_disk *other;
    struct xha_gate_disks disks;

    if (xha_disks_gated(config, &disks, &other, err, err_len) < 0)
        return -1;
    return xha_gate_end(XHA_GATE_SOCKETS, &disks, err, err_len);
}
