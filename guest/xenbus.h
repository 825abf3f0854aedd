/*
 * xenstore as a guest sees it, without any library: requests and replies over /dev/xen/xenbus, or over a
 * unix socket that speaks the same protocol (dom0's own xenstored, or a test).
 *
 * The wire format is that of Xen's public header xen/io/xs_wire.h (struct xsd_sockmsg, enum
 * xsd_sockmsg_type); the few words of it that are needed stand here, because the compiler for the static
 * binary has no Xen headers. tests/unit/test-guest-xenbus.c compares them with the real header.
 *
 * One request is under way at a time, every wait is bounded, and whatever comes back is taken for hostile: a
 * reply that breaks the protocol closes the connection.
 */
#ifndef XHA_GUEST_XENBUS_H
#define XHA_GUEST_XENBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    XHA_GUEST_XS_READ = 2,
    XHA_GUEST_XS_WATCH = 4,
    XHA_GUEST_XS_WRITE = 11,
    XHA_GUEST_XS_WATCH_EVENT = 15,
    XHA_GUEST_XS_ERROR = 16,
};

struct xha_guest_xs_header {
    uint32_t type;
    uint32_t req_id;
    uint32_t tx_id;
    uint32_t len;
};

#define XHA_GUEST_XS_PAYLOAD_MAX 4096 /* XENSTORE_PAYLOAD_MAX */
#define XHA_GUEST_KEY_MAX        255  /* ours: longest key that we write */
#define XHA_GUEST_VALUE_MAX      255  /* ours: longest value that we write or accept */

enum {
    XHA_GUEST_LOST = -1,    /* no connection, or it broke: it is closed now, open it again later */
    XHA_GUEST_REFUSED = -2, /* xenstore said no; the connection is good, refused_errno says why */
};

struct xha_guest_xenbus {
    int fd;            /* -1 when closed */
    uint32_t next_id;  /* id of the next request */
    int timeout_ms;    /* longest wait for one reply */
    int refused_errno; /* of the last XHA_GUEST_REFUSED; EPROTO when the name was not known */
    bool watch_fired;  /* a watch event came; whoever cares clears it */
    char trouble[160]; /* one line about the last failure, printable */
};

void xha_guest_xenbus_init(struct xha_guest_xenbus *bus, int timeout_ms);

/* Opens `path` (a device or a unix socket); NULL tries the kernel's two names for the device. */
int xha_guest_xenbus_open(struct xha_guest_xenbus *bus, const char *path);

/* Harmless when closed already. */
void xha_guest_xenbus_close(struct xha_guest_xenbus *bus);

/* Keys without a leading slash are relative to the guest's own directory. */
int xha_guest_xenbus_write(struct xha_guest_xenbus *bus, const char *key, const char *value);

/*
 * Reads at most XHA_GUEST_VALUE_MAX bytes into value_r (that many plus a NUL must fit); a longer value is
 * refused with E2BIG. The bytes are as they came: a NUL may stand among them, hence the length.
 */
int xha_guest_xenbus_read(struct xha_guest_xenbus *bus, const char *key, char *value_r, size_t *len_r);

/* Sets watch_fired when the key changes, and once on registration, by the protocol. */
int xha_guest_xenbus_watch(struct xha_guest_xenbus *bus, const char *key);

#endif
