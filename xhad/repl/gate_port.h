/*
 * gate_port.h - the ports of a gate: which network devices dom0 has for a domain, and what their ifbs are called.
 *
 * A domain's vif is known by the backend of its device (xenbus), since a configuration may rename it. HVM guests have
 * an emulated device beside it until their own drivers take over: a port too.
 */
#ifndef XHA_REPL_GATE_PORT_H
#define XHA_REPL_GATE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_GATE_NAME 16 /* IFNAMSIZ */

struct xha_gate_port {
    uint32_t domid, devid;
    bool emulated;
    char vif[XHA_GATE_NAME];
};

/* "xhg3.0", or "xhg3.0e" of an emulated device. -1: no such domain or device can be. */
int xha_gate_ifb_name(const struct xha_gate_port *port, char name_r[XHA_GATE_NAME]);
/* The reverse, strictly; vif is left empty. */
bool xha_gate_ifb_parse(const char *name, struct xha_gate_port *port_r);

/*
 * What an ifb says of itself (ip link show): "xhad gate of vif3.0 (17)". It is ours by that, and the vif is found by its
 * index whatever it is called by now; the kernel gives an index once.
 */
#define XHA_GATE_ALIAS_MAX 48
void xha_gate_alias(const char *vif, int vif_ifindex, char alias_r[XHA_GATE_ALIAS_MAX]);
/* false: it is not ours. */
bool xha_gate_alias_parse(const char *alias, char vif_r[XHA_GATE_NAME], int *vif_ifindex_r);

/*
 * The domain's network devices in this dom0, by device number; sysfs is "/sys" but for tests. Devices whose backend is
 * in another domain are not here: the caller compares the number with the domain's configuration. -1 with errno; ENOSPC: there
 * are more than max.
 */
int xha_gate_ports(const char *sysfs, uint32_t domid, struct xha_gate_port *ports_r, size_t max, size_t *n_r);

#endif
