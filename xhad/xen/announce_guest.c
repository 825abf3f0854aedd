/*
 * announce_guest.c - see announce_guest.h.
 */
#include "xhad/xen/announce_guest.h"
#include "xhad/repl/announce.h"
#include "xhad/repl/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES_MAX 8

/* nic->ip is xl's ip=: addresses, perhaps with a prefix length, between blanks or commas. */
static size_t addresses_of(const libxl_device_nic *nic,
                           struct xha_announce_address addresses_r[ADDRESSES_MAX])
{
    const char *at = nic->ip ? nic->ip : "";
    size_t n = 0;

    while (*at != '\0' && n < ADDRESSES_MAX) {
        const size_t len = strcspn(at, " ,"), bare = strcspn(at, " ,/");
        char text[64];

        if (bare > 0 && bare < sizeof(text)) {
            memcpy(text, at, bare);
            text[bare] = '\0';
            n += xha_announce_address_parse(text, &addresses_r[n]);
        }
        at += len;
        at += strspn(at, " ,");
    }
    return n;
}

static const libxl_device_nic *nic_of(const libxl_domain_config *config, uint32_t devid)
{
    for (int i = 0; i < config->num_nics; i++)
        if (config->nics[i].devid == (int)devid)
            return &config->nics[i];
    return NULL;
}

unsigned xha_announce_guest(struct xha_work *w, uint32_t domid, const libxl_domain_config *config)
{
    struct xha_announce_address addresses[ADDRESSES_MAX];
    struct xha_gate_port ports[XHA_GATE_PORTS_MAX];
    unsigned frames, sum = 0;
    char err[XHA_GATE_TEXT];
    size_t n;

    if (xha_gate_ports("/sys", domid, ports, XHA_GATE_PORTS_MAX, &n) < 0) {
        xha_work_warn(w, "its network devices are not announced: %s", strerror(errno));
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const libxl_device_nic *nic = nic_of(config, ports[i].devid);

        if (!nic || ports[i].emulated)
            continue;
        if (xha_announce(ports[i].vif, nic->mac, addresses, addresses_of(nic, addresses), &frames, err,
                         sizeof(err)) < 0)
            xha_work_warn(w, "%s", err);
        else
            sum += frames;
    }
    return sum;
}
