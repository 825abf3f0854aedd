/*
 * guest/xenbus.c against a xenstore that says what the test put into its mouth: the replies wait in a
 * socket pair before the request goes out, so nothing here needs a thread or a clock.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <xen/io/xs_wire.h>

#include "guest/xenbus.h"

/* The agent's own words for the wire are Xen's. */
_Static_assert((int)XHA_GUEST_XS_READ == (int)XS_READ, "xs_wire.h");
_Static_assert((int)XHA_GUEST_XS_WATCH == (int)XS_WATCH, "xs_wire.h");
_Static_assert((int)XHA_GUEST_XS_WRITE == (int)XS_WRITE, "xs_wire.h");
_Static_assert((int)XHA_GUEST_XS_WATCH_EVENT == (int)XS_WATCH_EVENT, "xs_wire.h");
_Static_assert((int)XHA_GUEST_XS_ERROR == (int)XS_ERROR, "xs_wire.h");
_Static_assert(XHA_GUEST_XS_PAYLOAD_MAX == XENSTORE_PAYLOAD_MAX, "xs_wire.h");
_Static_assert(sizeof(struct xha_guest_xs_header) == sizeof(struct xsd_sockmsg), "xs_wire.h");
_Static_assert(offsetof(struct xha_guest_xs_header, len) == offsetof(struct xsd_sockmsg, len), "xs_wire.h");

/* Long enough for a loaded machine; only the tests of silence wait for a timeout, and those shorten it. */
#define PATIENCE_MS 10000

struct fixture {
    struct xha_guest_xenbus bus;
    int store; /* xenstore's end */
};

static int set_up(void **state)
{
    static struct fixture f;
    int sv[2];

    xha_guest_xenbus_init(&f.bus, PATIENCE_MS);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), errno);
    assert_return_code(fcntl(sv[0], F_SETFL, O_NONBLOCK), errno);
    f.bus.fd = sv[0];
    f.store = sv[1];
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    xha_guest_xenbus_close(&f->bus);
    close(f->store);
    return 0;
}

static void say(struct fixture *f, uint32_t type, uint32_t id, const void *payload, uint32_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = id, .len = len };

    assert_int_equal(write(f->store, &head, sizeof(head)), sizeof(head));
    if (payload)
        assert_int_equal(write(f->store, payload, len), len);
}

static void test_write_is_as_the_protocol_wants_it(void **state)
{
    static const char wanted[] = "data/heartbeat\00042"; /* the key with its NUL, the value without */
    struct fixture *f = *state;
    struct xsd_sockmsg head;
    char payload[64];

    say(f, XS_WRITE, 1, "OK", 3);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "data/heartbeat", "42"), 0);
    assert_int_equal(read(f->store, &head, sizeof(head)), sizeof(head));
    assert_int_equal(head.type, XS_WRITE);
    assert_int_equal(head.req_id, 1);
    assert_int_equal(head.tx_id, 0);
    assert_int_equal(head.len, sizeof(wanted) - 1);
    assert_int_equal(read(f->store, payload, sizeof(payload)), sizeof(wanted) - 1);
    assert_memory_equal(payload, wanted, sizeof(wanted) - 1);
}

static void test_read_gives_bytes_and_length(void **state)
{
    struct fixture *f = *state;
    char value[XHA_GUEST_VALUE_MAX + 1];
    size_t len;

    say(f, XS_READ, 1, "4\0002", 3);
    assert_int_equal(xha_guest_xenbus_read(&f->bus, "data/heartbeat", value, &len), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(value, "4\0002\0", 4);
}

static void test_read_refuses_a_long_value(void **state)
{
    struct fixture *f = *state;
    char big[XHA_GUEST_VALUE_MAX + 1], value[XHA_GUEST_VALUE_MAX + 1];
    size_t len;

    memset(big, '7', sizeof(big));
    say(f, XS_READ, 1, big, sizeof(big));
    say(f, XS_READ, 2, big, sizeof(big) - 1);
    assert_int_equal(xha_guest_xenbus_read(&f->bus, "k", value, &len), XHA_GUEST_REFUSED);
    assert_int_equal(f->bus.refused_errno, E2BIG);
    assert_int_equal(xha_guest_xenbus_read(&f->bus, "k", value, &len), 0);
    assert_int_equal(len, XHA_GUEST_VALUE_MAX);
    assert_int_equal(value[len], '\0');
}

static void test_error_names_become_numbers(void **state)
{
    struct fixture *f = *state;
    char trouble[sizeof(f->bus.trouble)];

    say(f, XS_ERROR, 1, "EAGAIN", 7);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_REFUSED);
    assert_int_equal(f->bus.refused_errno, EAGAIN);
    say(f, XS_ERROR, 2, "EIO", 3); /* without its NUL */
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_REFUSED);
    assert_int_equal(f->bus.refused_errno, EIO);
    say(f, XS_ERROR, 3, "\033[2JEVIL", 9);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_REFUSED);
    assert_int_equal(f->bus.refused_errno, EPROTO);
    strcpy(trouble, f->bus.trouble);
    assert_null(strstr(trouble, "EVIL")); /* what came from outside is never printed */
    assert_int_not_equal(f->bus.fd, -1);  /* a refusal does not cost the connection */
}

static void test_watch_events_are_noted_and_passed_over(void **state)
{
    struct fixture *f = *state;

    say(f, XS_WATCH_EVENT, 0, "domid\0xha", 10);
    say(f, XS_WRITE, 1, "OK", 3);
    assert_false(f->bus.watch_fired);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), 0);
    assert_true(f->bus.watch_fired);
}

static void test_late_replies_answer_nothing(void **state)
{
    struct fixture *f = *state;

    say(f, XS_ERROR, 77, "EACCES", 7);
    say(f, XS_WRITE, 0, "OK", 3);
    say(f, XS_WRITE, 1, "OK", 3);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), 0);
}

static void test_flood_of_events_closes_the_connection(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++)
        say(f, XS_WATCH_EVENT, 0, "domid\0xha", 10);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_int_equal(f->bus.fd, -1);
}

static void test_oversized_length_is_refused_unread(void **state)
{
    static const uint32_t sizes[] = { XENSTORE_PAYLOAD_MAX + 1, 0x80000000, 0xffffffff };
    struct fixture *f = *state;

    say(f, XS_WRITE, 1, NULL, sizes[0]);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_int_equal(f->bus.fd, -1);
    for (int i = 1; i < 3; i++) {
        tear_down(state);
        set_up(state);
        say(f, XS_WRITE, 1, NULL, sizes[i]);
        assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    }
}

static void test_largest_payload_is_taken(void **state)
{
    struct fixture *f = *state;
    static char big[XENSTORE_PAYLOAD_MAX];

    say(f, XS_WRITE, 1, big, sizeof(big));
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), 0);
}

static void test_wrong_type_closes_the_connection(void **state)
{
    struct fixture *f = *state;

    say(f, XS_READ, 1, "OK", 3);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_int_equal(f->bus.fd, -1);
}

static void test_garbage_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    unsigned char garbage[4096];

    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (unsigned char)(i * 167 + 13);
    assert_int_equal(write(f->store, garbage, sizeof(garbage)), sizeof(garbage));
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_int_equal(f->bus.fd, -1);
    /* and the closed connection says so, instead of writing to some other file */
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
}

static void test_end_of_file(void **state)
{
    struct fixture *f = *state;

    assert_return_code(shutdown(f->store, SHUT_WR), errno);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_non_null(strstr(f->bus.trouble, "closed the connection"));
}

static void test_end_of_file_within_a_reply(void **state)
{
    struct fixture *f = *state;

    say(f, XS_WRITE, 1, NULL, 3);
    assert_int_equal(write(f->store, "O", 1), 1);
    assert_return_code(shutdown(f->store, SHUT_WR), errno);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
}

static void test_silence_is_bounded(void **state)
{
    struct fixture *f = *state;

    f->bus.timeout_ms = 1;
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", "v"), XHA_GUEST_LOST);
    assert_non_null(strstr(f->bus.trouble, "no reply"));
}

static void test_long_keys_and_values_stay_here(void **state)
{
    struct fixture *f = *state;
    char text[XHA_GUEST_KEY_MAX + 2];

    memset(text, 'k', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(xha_guest_xenbus_write(&f->bus, text, "v"), XHA_GUEST_REFUSED);
    assert_int_equal(xha_guest_xenbus_write(&f->bus, "k", text), XHA_GUEST_REFUSED);
    assert_int_equal(f->bus.refused_errno, E2BIG);
    assert_int_equal(recv(f->store, text, 1, MSG_DONTWAIT), -1);
}

static void test_open_says_what_is_missing(void **state)
{
    struct fixture *f = *state;
    char path[200];

    assert_int_equal(xha_guest_xenbus_open(&f->bus, "/nonexistent/xenbus"), XHA_GUEST_LOST);
    assert_non_null(strstr(f->bus.trouble, "/nonexistent/xenbus"));
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(xha_guest_xenbus_open(&f->bus, path), XHA_GUEST_LOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_is_as_the_protocol_wants_it),
        TEST(test_read_gives_bytes_and_length),
        TEST(test_read_refuses_a_long_value),
        TEST(test_error_names_become_numbers),
        TEST(test_watch_events_are_noted_and_passed_over),
        TEST(test_late_replies_answer_nothing),
        TEST(test_flood_of_events_closes_the_connection),
        TEST(test_oversized_length_is_refused_unread),
        TEST(test_largest_payload_is_taken),
        TEST(test_wrong_type_closes_the_connection),
        TEST(test_garbage_closes_the_connection),
        TEST(test_end_of_file),
        TEST(test_end_of_file_within_a_reply),
        TEST(test_silence_is_bounded),
        TEST(test_long_keys_and_values_stay_here),
        TEST(test_open_says_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
