/*
 * io_count.h - how much a domain has done with its disks and network, from dom0's sysfs. Pure but for reading
 * files.
 */
#ifndef XHA_XEN_IO_COUNT_H
#define XHA_XEN_IO_COUNT_H

#include <stdint.h>

/*
 * Requests of all its vbds and packets that it sent through all its vifs, cumulative. Packets sent *to* it
 * are left out: they show that others live. sysfs is "/sys" but for tests. A domain without any counts 0, and
 * so do disks that are served by QEMU or another domain: they have no counters here.
 */
uint64_t xha_io_count(const char *sysfs, int32_t domid);

#endif
