/*
 * What xenstore says to the guest agent: arbitrary bytes as replies to a fixed run of requests. Nothing may
 * be read or written out of bounds, no value may be longer than promised, and nothing unprintable may get
 * into the line that will be logged.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/xenbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xha_guest_xenbus bus;
    char value[XHA_GUEST_VALUE_MAX + 1];
    size_t len;
    int sv[2];

    xha_guest_xenbus_init(&bus, 0); /* waits for nothing: all bytes are there from the start */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        abort();
    if (size && send(sv[1], data, size, MSG_NOSIGNAL) != (ssize_t)size)
        abort();
    bus.fd = sv[0];
    for (int i = 0; i < 4 && bus.fd >= 0; i++) {
        int rc;

        xha_guest_xenbus_watch(&bus, "domid");
        rc = xha_guest_xenbus_read(&bus, "data/heartbeat", value, &len);
        if (rc == 0 && (len > XHA_GUEST_VALUE_MAX || value[len] != '\0'))
            abort();
        xha_guest_xenbus_write(&bus, "data/heartbeat", "1");
    }
    for (const char *p = bus.trouble; *p; p++) {
        if (!isprint((unsigned char)*p))
            abort();
    }
    xha_guest_xenbus_close(&bus);
    close(sv[1]);
    return 0;
}
