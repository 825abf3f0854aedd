/*
 * gate_port.c - see gate_port.h. Pure but for reading names in sysfs.
 */
#include "xhad/repl/gate_port.h"
#include "xhad/base/cleanup.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define DOMIDS     0x7ff0 /* from here on they mean something else to Xen */
#define DEVIDS     65536
#define PREFIX     "xhg"
#define ALIAS_HEAD "xhad gate of "

/* ---- names ---- */

/* Decimal digits without a leading zero; moves *p behind them. */
static bool take_number(const char **p, uint32_t below, uint32_t *value_r)
{
    const char *s = *p;
    uint64_t value = 0;

    if (!isdigit((unsigned char)*s) || (s[0] == '0' && isdigit((unsigned char)s[1])))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        value = value * 10 + (uint64_t)(*s - '0');
        if (value >= below)
            return false;
    }
    *p = s;
    *value_r = (uint32_t)value;
    return true;
}

int xha_gate_ifb_name(const struct xha_gate_port *port, char name_r[XHA_GATE_NAME])
{
    if (port->domid >= DOMIDS || port->devid >= DEVIDS)
        return -1;
    snprintf(name_r, XHA_GATE_NAME, PREFIX "%" PRIu32 ".%" PRIu32 "%s", port->domid, port->devid,
             port->emulated ? "e" : "");
    return 0;
}

bool xha_gate_ifb_parse(const char *name, struct xha_gate_port *port_r)
{
    struct xha_gate_port port = { 0 };

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return false;
    name += strlen(PREFIX);
    if (!take_number(&name, DOMIDS, &port.domid) || *name++ != '.' ||
        !take_number(&name, DEVIDS, &port.devid))
        return false;
    port.emulated = *name == 'e';
    if (name[port.emulated] != '\0')
        return false;
    *port_r = port;
    return true;
}

void xha_gate_alias(const char *vif, int vif_ifindex, char alias_r[XHA_GATE_ALIAS_MAX])
{
    snprintf(alias_r, XHA_GATE_ALIAS_MAX, ALIAS_HEAD "%.15s (%d)", vif, vif_ifindex);
}

bool xha_gate_alias_parse(const char *alias, char vif_r[XHA_GATE_NAME], int *vif_ifindex_r)
{
    const size_t head = strlen(ALIAS_HEAD);
    uint32_t ifindex;
    size_t len;

    if (strncmp(alias, ALIAS_HEAD, head) != 0)
        return false;
    alias += head;
    len = strcspn(alias, " ");
    if (len == 0 || len >= XHA_GATE_NAME || strncmp(alias + len, " (", 2) != 0)
        return false;
    memcpy(vif_r, alias, len);
    vif_r[len] = '\0';
    alias += len + 2;
    if (!take_number(&alias, INT32_MAX, &ifindex) || strcmp(alias, ")") != 0)
        return false;
    *vif_ifindex_r = (int)ifindex;
    return true;
}

/* ---- sysfs ---- */

struct list {
    const char *sysfs;
    struct xha_gate_port *ports;
    size_t n, max;
};

static int add(struct list *list, const struct xha_gate_port *port)
{
    if (list->n == list->max) {
        errno = ENOSPC;
        return -1;
    }
    list->ports[list->n++] = *port;
    return 0;
}

/* The emulated device beside a vif is called like it, and "-emu". */
static int add_with_emulated(struct list *list, struct xha_gate_port *port)
{
    char path[PATH_MAX];

    if (add(list, port) < 0)
        return -1;
    if (strlen(port->vif) + strlen("-emu") >= sizeof(port->vif))
        return 0;
    strcat(port->vif, "-emu");
    port->emulated = true;
    snprintf(path, sizeof(path), "%s/class/net/%s", list->sysfs, port->vif);
    return access(path, F_OK) == 0 ? add(list, port) : 0;
}

/* The one name in DEVICE/net; a device that is not set up yet has none. */
static int add_device(struct list *list, const char *device, struct xha_gate_port *port)
{
    char path[PATH_MAX];
    XHA_CLEANUP_CLOSEDIR DIR *dir = NULL;
    struct dirent *e;

    snprintf(path, sizeof(path), "%s/bus/xen-backend/devices/%s/net", list->sysfs, device);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -1;
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(port->vif))
            continue;
        memcpy(port->vif, e->d_name, strlen(e->d_name) + 1);
        return add_with_emulated(list, port);
    }
    return 0;
}

/* "vif-3-0" of this domain. */
static bool is_vif_of(const char *name, uint32_t domid, uint32_t *devid_r)
{
    uint32_t of;

    if (strncmp(name, "vif-", 4) != 0)
        return false;
    name += 4;
    return take_number(&name, DOMIDS, &of) && of == domid && *name++ == '-' &&
           take_number(&name, DEVIDS, devid_r) && *name == '\0';
}

static int by_number(const void *a, const void *b)
{
    const struct xha_gate_port *x = a, *y = b;

    return x->devid != y->devid ? (x->devid < y->devid ? -1 : 1) : (int)x->emulated - (int)y->emulated;
}

int xha_gate_ports(const char *sysfs, uint32_t domid, struct xha_gate_port *ports_r, size_t max, size_t *n_r)
{
    struct list list = { .sysfs = sysfs, .ports = ports_r, .max = max };
    char path[PATH_MAX];
    XHA_CLEANUP_CLOSEDIR DIR *dir = NULL;
    struct dirent *e;

    *n_r = 0;
    snprintf(path, sizeof(path), "%s/bus/xen-backend/devices", sysfs);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -1;
    while ((e = readdir(dir)) != NULL) {
        struct xha_gate_port port = { .domid = domid };

        if (is_vif_of(e->d_name, domid, &port.devid) && add_device(&list, e->d_name, &port) < 0)
            return -1;
    }
    qsort(ports_r, list.n, sizeof(*ports_r), by_number);
    *n_r = list.n;
    return 0;
}
