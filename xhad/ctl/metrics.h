/*
 * metrics.h - figures for Prometheus, over the control socket and as a file for node_exporter.
 */
#ifndef XHA_CTL_METRICS_H
#define XHA_CTL_METRICS_H

#include "xhad/ctl/daemon.h"

#define XHA_METRICS_MS 15000 /* how often the file is written */

struct xha_metrics {
    char *text; /* the caller frees */
    size_t len, room;
};

void xha_metrics_make(const struct xha_daemon *d, struct xha_metrics *metrics_r);

/* Writes metrics_file, where there is one. */
void xha_metrics_write(struct xha_daemon *d);

#endif
