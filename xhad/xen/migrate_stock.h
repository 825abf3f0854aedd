/*
 * migrate_stock.h - moves from and to a host that has xl but not xhad: xl's own protocol over a command's
 * standard input and output (tools/xl/xl_migrate.c). There xl's commit decides, not the cluster.
 */
#ifndef XHA_XEN_MIGRATE_STOCK_H
#define XHA_XEN_MIGRATE_STOCK_H

#include "xhad/xen/work.h"

/* Sends the job's domain to the `xl migrate-receive` behind job.move.command. Answers. */
void xha_migrate_to_stock(struct xha_work *w, uint32_t domid, bool live, const char *why_warm,
                          const char *config_json);

/* `xhad-xen migrate-receive`: stands in for `xl migrate-receive`. The exit status. */
int xha_migrate_from_stock(void);

#endif
