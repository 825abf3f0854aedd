/*
 * good_conf.h - STATE/xhad.conf.good: the last xhad.conf that was accepted, word by word.
 *
 * While Xen's watchdog runs, an xhad that does not start for a slip in its settings would cost the host. So
 * then it starts with the last good ones, and says so.
 */
#ifndef XHA_CTL_GOOD_CONF_H
#define XHA_CTL_GOOD_CONF_H

#include "xhad/base/conf.h"

/* Keeps the file that conf was read from. */
void xha_good_conf_keep(const struct xha_conf *conf);

/* Whether a parameter of the whole cluster is another one than in the last good file; without one: whether any is
 * set. Before xha_good_conf_keep(). */
bool xha_good_conf_changed(const struct xha_conf *conf);

/* Settings to go on with when path is not accepted: true, where a watchdog was handed over. */
bool xha_good_conf_rescue(const char *path, struct xha_conf *conf_r);

#endif
