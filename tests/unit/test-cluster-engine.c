/*
 * The parts of the cluster's engine that need no corosync: frames, the outbox, membership. How they do together with a
 * real one is for tests/cluster/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/cluster/members.h"
#include "xhad/cluster/outbox.h"

/* ---- frames ---- */

static uint8_t wire[XHA_FRAME_HEAD + XHA_FRAME_DATA_MAX];

static size_t put(const struct xha_frame *frame)
{
    xha_frame_head(frame, wire);
    if (frame->data)
        memcpy(wire + XHA_FRAME_HEAD, frame->data, frame->len);
    return XHA_FRAME_HEAD + frame->len;
}

static void a_frame_comes_back_as_it_was(void **state)
{
    struct xha_frame frame = { .kind = XHA_FRAME_DATA,
                               .number = UINT64_MAX - 1,
                               .total = 700000,
                               .offset = 699990,
                               .data = (const uint8_t *)"0123456789",
                               .len = 10 },
                     back;
    unsigned version = 0;

    (void)state;
    assert_int_equal(xha_frame_parse(wire, put(&frame), &back, &version), 0);
    assert_int_equal(version, XHA_FRAME_VERSION);
    assert_int_equal(back.kind, frame.kind);
    assert_true(back.number == frame.number);
    assert_int_equal(back.total, frame.total);
    assert_int_equal(back.offset, frame.offset);
    assert_int_equal(back.len, 10);
    assert_memory_equal(back.data, "0123456789", 10);
}

/* Each one is a good frame with one thing wrong. */
static void bad_frames(void **state)
{
    static const struct {
        struct xha_frame frame;
        int more; /* bytes more or less than its head says */
    } bad[] = {
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .len = 10 }, 1 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .len = 10 }, -1 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .len = 0 }, 0 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 9, .len = 10 }, 0 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .offset = 1, .len = 10 }, 0 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .offset = 10, .len = 1 }, 0 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = 10, .offset = UINT32_MAX, .len = 10 }, 0 },
        { { .kind = XHA_FRAME_DATA, .number = 1, .total = XHA_ENGINE_MESSAGE_MAX + 1, .len = 10 }, 0 },
        { { .kind = XHA_FRAME_PULSE, .number = 1, .total = 1, .len = 1 }, 0 },
        { { .kind = XHA_FRAME_PULSE, .number = 1, .offset = 1 }, 0 },
        { { .kind = 3, .number = 1, .total = 10, .len = 10 }, 0 },
        { { .kind = 0, .number = 1, .total = 10, .len = 10 }, 0 },
    };
    struct xha_frame frame = { .kind = XHA_FRAME_PULSE, .number = 1 }, back;
    unsigned version = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t len = put(&bad[i].frame) + (size_t)bad[i].more;

        if (xha_frame_parse(wire, len, &back, &version) != XHA_FRAME_E_BAD)
            fail_msg("bad frame %zu was taken", i);
    }
    put(&frame);
    for (size_t len = 0; len < XHA_FRAME_HEAD; len++)
        assert_int_equal(xha_frame_parse(wire, len, &back, &version), XHA_FRAME_E_BAD);
    assert_int_equal(xha_frame_parse(wire, XHA_FRAME_HEAD, &back, &version), 0);
    wire[4] = 7;
    assert_int_equal(xha_frame_parse(wire, XHA_FRAME_HEAD, &back, &version), XHA_FRAME_E_VERSION);
    assert_int_equal(version, 7);
    wire[0] = 'Y';
    assert_int_equal(xha_frame_parse(wire, XHA_FRAME_HEAD, &back, &version), XHA_FRAME_E_BAD);
}

static int take(struct xha_parts *parts, uint64_t number, uint32_t total, uint32_t offset, uint32_t len)
{
    static const uint8_t data[XHA_FRAME_DATA_MAX];
    struct xha_frame frame = { XHA_FRAME_DATA, number, total, offset, data, len };
    const uint8_t *whole;
    size_t whole_len;
    int rc = xha_parts_take(parts, 5, &frame, &whole, &whole_len);

    if (rc == 1)
        assert_int_equal(whole_len, total);
    return rc;
}

static void parts_in_and_out_of_order(void **state)
{
    struct xha_parts parts = { 0 };

    (void)state;
    assert_int_equal(take(&parts, 1, 10, 0, 10), 1);
    assert_int_equal(take(&parts, 2, 30, 0, 10), 0);
    assert_int_equal(take(&parts, 2, 30, 10, 10), 0);
    assert_int_equal(take(&parts, 2, 30, 20, 10), 1);
    assert_int_equal(take(&parts, 3, 20, 10, 10), XHA_FRAME_E_ORDER); /* the first is missing */
    assert_int_equal(take(&parts, 4, 30, 0, 10), 0);
    assert_int_equal(take(&parts, 4, 30, 20, 10), XHA_FRAME_E_ORDER); /* one between */
    assert_int_equal(take(&parts, 4, 30, 10, 10), XHA_FRAME_E_ORDER); /* too late */
    assert_int_equal(take(&parts, 5, 30, 0, 10), 0);
    assert_int_equal(take(&parts, 6, 30, 10, 10), XHA_FRAME_E_ORDER); /* of another */
    assert_int_equal(take(&parts, 7, 30, 0, 10), 0);
    assert_int_equal(take(&parts, 7, 31, 10, 10), XHA_FRAME_E_ORDER); /* of another length */
    assert_int_equal(take(&parts, 8, 30, 0, 10), 0);
    assert_int_equal(take(&parts, 9, 30, 0, 10), 0); /* begun anew */
    assert_int_equal(take(&parts, 9, 30, 10, 20), 1);
    assert_int_equal(take(&parts, 10, 30, 0, 10), 0);
    xha_parts_clear(&parts);
    assert_int_equal(take(&parts, 10, 30, 10, 10), XHA_FRAME_E_ORDER);
    xha_parts_clear(&parts);
}

/* What is promised is not believed before it has come. */
static void memory_grows_with_what_has_come(void **state)
{
    struct xha_parts parts = { 0 };

    (void)state;
    assert_int_equal(take(&parts, 1, XHA_ENGINE_MESSAGE_MAX, 0, 1000), 0);
    assert_true(parts.of[5].room <= 2 * XHA_FRAME_DATA_MAX);
    xha_parts_clear(&parts);
}

/* ---- the outbox ---- */

/*
 * A sender, corosync's queue and a receiver, with views at random places. Whatever happens, what was sent is
 * delivered once and in order; and the sender's own parts tell it when to send again.
 */
static void nothing_lost_or_doubled_over_views(void **state)
{
    enum { MESSAGES = 400, PART = 16 };
    struct xha_frame queue[64];
    uint8_t held[64][PART];

    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct xha_outbox box = { .part = PART };
        struct xha_parts parts = { 0 };
        unsigned head = 0, tail = 0, added = 0, delivered = 0, steps = 0;

        srand(seed);
        while (delivered < MESSAGES) {
            struct xha_frame frame;
            const uint8_t *data;
            size_t len;

            if (++steps > 1000000)
                fail_msg("seed %u: message %u never comes", seed, delivered);
            switch (rand() % 4) {
            case 0: /* somebody sends */
                if (added < MESSAGES) {
                    uint8_t message[80] = { (uint8_t)added, (uint8_t)(added >> 8) };

                    len = rand() % 2 ? 2 + (size_t)rand() % 14 : 2 + (size_t)rand() % 78;
                    message[len - 1] = len > 2 ? (uint8_t)len : message[len - 1];
                    assert_int_equal(xha_outbox_add(&box, message, len), 0);
                    added++;
                }
                break;
            case 1: /* corosync takes some */
                while (tail - head < 64 && rand() % 3 && xha_outbox_peek(&box, &frame)) {
                    memcpy(held[tail % 64], frame.data, frame.len);
                    frame.data = held[tail % 64];
                    queue[tail++ % 64] = frame;
                    xha_outbox_sent(&box);
                }
                break;
            case 2: /* one is delivered */
                if (head == tail)
                    break;
                frame = queue[head++ % 64];
                if (xha_parts_take(&parts, 0, &frame, &data, &len) != 1)
                    break;
                assert_int_equal(data[0] | data[1] << 8, delivered);
                if (len > 2)
                    assert_int_equal(data[len - 1], len);
                delivered++;
                xha_outbox_returned(&box, frame.number);
                break;
            default: /* a view, now and then */
                if (rand() % 5)
                    break;
                if (parts.of[0].got < parts.of[0].total)
                    xha_outbox_again(&box, parts.of[0].number);
                xha_parts_clear(&parts);
            }
        }
        assert_int_equal(added, MESSAGES);
        assert_int_equal(box.bytes, 0);
        assert_null(box.first);
        xha_parts_clear(&parts);
        xha_outbox_clear(&box);
    }
}

static void the_queue_has_an_end(void **state)
{
    struct xha_outbox box = { .part = XHA_FRAME_DATA_MAX };
    uint8_t *large = calloc(1, XHA_ENGINE_MESSAGE_MAX + 1);

    (void)state;
    assert_int_equal(xha_outbox_add(&box, large, 0), XHA_ENGINE_E_TOO_LONG);
    assert_int_equal(xha_outbox_add(&box, large, XHA_ENGINE_MESSAGE_MAX + 1), XHA_ENGINE_E_TOO_LONG);
    assert_int_equal(xha_outbox_add(&box, large, XHA_ENGINE_MESSAGE_MAX), 0);
    assert_int_equal(xha_outbox_add(&box, large, XHA_ENGINE_MESSAGE_MAX), 0);
    assert_int_equal(xha_outbox_add(&box, large, 1), XHA_ENGINE_E_FULL);
    xha_outbox_clear(&box);
    assert_int_equal(xha_outbox_add(&box, large, 1), 0);
    xha_outbox_clear(&box);
    free(large);
}

/* ---- membership ---- */

static struct xha_members m;
static struct xha_engine_view view[XHA_MEMBERS_VIEWS_MAX];

static size_t change(const struct cpg_address *left, size_t n_left, const struct cpg_address *joined,
                     size_t n_joined)
{
    return xha_members_change(&m, NULL, 0, left, n_left, joined, n_joined, view);
}

static size_t ring(uint64_t seq)
{
    static const uint32_t nodes[] = { 1, 2, 3, 7, 99 };

    return xha_members_ring(&m, (struct cpg_ring_id){ 1, seq }, nodes, 5, view);
}

/* We are nodeid 1 with pid 11; 2 and 3 are there. */
static void set_up(uint64_t seq)
{
    static const struct cpg_address all[] = { { 1, 11, 0 }, { 2, 12, 0 }, { 3, 13, 0 } };

    xha_members_init(&m);
    assert_int_equal(xha_members_change(&m, all, 3, NULL, 0, all, 1, view), 0);
    assert_int_equal(ring(seq), 1);
}

static void a_joiner_sees_all(void **state)
{
    static const struct cpg_address all[] = { { 1, 11, 0 }, { 2, 12, 0 }, { 3, 13, CPG_REASON_JOIN } };
    uint64_t id;

    (void)state;
    set_up(7);
    assert_int_equal(view[0].n, 3);
    assert_int_equal(view[0].n_joined, 3);
    assert_int_equal(view[0].host[2], 2);
    assert_int_equal(view[0].nodes, 0x47); /* of 7 only corosync is there */
    id = view[0].id;
    assert_int_equal(xha_members_host(&m, 3, 13), 2);
    assert_int_equal(xha_members_host(&m, 3, 14), -1);
    assert_int_equal(xha_members_host(&m, 0, 14), -1);
    assert_int_equal(xha_members_host(&m, 65, 14), -1);
    assert_int_equal(xha_members_host(&m, 4, 0), -1);

    /* The ring may be told before our own joining; the view is the same. */
    xha_members_init(&m);
    assert_int_equal(ring(7), 0);
    assert_int_equal(xha_members_change(&m, all, 3, NULL, 0, &all[2], 1, view), 1);
    assert_true(view[0].id == id);
}

static void why_they_left(void **state)
{
    static const struct cpg_address asked = { 2, 12, CPG_REASON_LEAVE },
                                    died = { 3, 13, CPG_REASON_PROCDOWN }, again = { 3, 33, CPG_REASON_JOIN },
                                    old = { 3, 13, CPG_REASON_PROCDOWN };

    (void)state;
    set_up(7);
    assert_int_equal(change(&asked, 1, NULL, 0), 1);
    assert_int_equal(view[0].n, 2);
    assert_int_equal(view[0].left[0].host, 1);
    assert_int_equal(view[0].left[0].why, XHA_ENGINE_LEFT);
    assert_int_equal(change(&died, 1, NULL, 0), 1);
    assert_int_equal(view[0].left[0].why, XHA_ENGINE_PROC);
    assert_int_equal(change(NULL, 0, &again, 1), 1);
    assert_int_equal(view[0].n, 2);
    assert_int_equal(view[0].joined[0], 2);
    assert_int_equal(change(&old, 1, NULL, 0), 1); /* it is not the one that is here now */
    assert_int_equal(view[0].n, 2);
    assert_int_equal(view[0].n_left, 0);
}

/* What a ring changes is told at once, when it is all there. */
static void a_new_ring_is_one_view(void **state)
{
    static const struct cpg_address lost[] = { { 2, 12, CPG_REASON_NODEDOWN },
                                               { 3, 13, CPG_REASON_NODEDOWN } };
    static const struct cpg_address new[] = { { 9, 19, CPG_REASON_NODEUP }, { 5, 15, CPG_REASON_NODEUP } };
    uint64_t id;

    (void)state;
    set_up(7);
    id = view[0].id;
    assert_int_equal(change(lost, 2, NULL, 0), 0);
    assert_int_equal(xha_members_host(&m, 2, 12), 1); /* still of the view */
    assert_int_equal(change(NULL, 0, new, 2), 0);
    assert_int_equal(ring(11), 1);
    assert_int_equal(view[0].n, 3);
    assert_memory_equal(view[0].host, ((uint8_t[]){ 0, 4, 8 }), 3);
    assert_int_equal(view[0].n_left, 2);
    assert_int_equal(view[0].left[1].why, XHA_ENGINE_NODE);
    assert_int_equal(view[0].n_joined, 2);
    assert_true(view[0].id != id);
    id = view[0].id;
    assert_int_equal(ring(15), 1); /* the same members */
    assert_int_equal(view[0].n_left + view[0].n_joined, 0);
    assert_true(view[0].id != id);
}

/* One that went and came back in the same ring has lost messages: it is seen to go. */
static void away_and_back_are_two_views(void **state)
{
    static const struct cpg_address lost = { 2, 12, CPG_REASON_NODEDOWN },
                                    back = { 2, 12, CPG_REASON_NODEUP };

    (void)state;
    set_up(7);
    assert_int_equal(change(&lost, 1, NULL, 0), 0);
    assert_int_equal(change(NULL, 0, &back, 1), 0);
    assert_int_equal(ring(11), 2);
    assert_int_equal(view[0].n, 2);
    assert_int_equal(view[0].n_left, 1);
    assert_int_equal(view[0].n_joined, 0);
    assert_int_equal(view[0].nodes, 0x45);
    assert_int_equal(view[1].nodes, 0x47);
    assert_int_equal(view[1].n, 3);
    assert_int_equal(view[1].n_left, 0);
    assert_int_equal(view[1].n_joined, 1);
    assert_int_equal(view[1].joined[0], 1);
    assert_true(view[0].id != view[1].id);
}

/* A second xhad on a host stands for it from now on; the first is no member, whatever it sends. */
static void two_of_one_host(void **state)
{
    static const struct cpg_address second = { 2, 99, CPG_REASON_JOIN };

    (void)state;
    set_up(7);
    assert_int_equal(change(NULL, 0, &second, 1), 2);
    assert_int_equal(view[0].left[0].why, XHA_ENGINE_PROC);
    assert_int_equal(view[1].joined[0], 1);
    assert_int_equal(xha_members_host(&m, 2, 12), -1);
    assert_int_equal(xha_members_host(&m, 2, 99), 1);
}

static void strangers(void **state)
{
    static const struct cpg_address odd[] = { { 65, 1, CPG_REASON_JOIN }, { 0, 1, CPG_REASON_JOIN } };

    (void)state;
    set_up(7);
    assert_int_equal(change(NULL, 0, odd, 1), 1);
    assert_int_equal(m.stranger, 65);
    assert_int_equal(view[0].n, 3);
    assert_int_equal(change(odd, 2, NULL, 0), 1);
    assert_int_equal(m.stranger, 0);
    assert_int_equal(view[0].n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_comes_back_as_it_was),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(parts_in_and_out_of_order),
        cmocka_unit_test(memory_grows_with_what_has_come),
        cmocka_unit_test(nothing_lost_or_doubled_over_views),
        cmocka_unit_test(the_queue_has_an_end),
        cmocka_unit_test(a_joiner_sees_all),
        cmocka_unit_test(why_they_left),
        cmocka_unit_test(a_new_ring_is_one_view),
        cmocka_unit_test(away_and_back_are_two_views),
        cmocka_unit_test(two_of_one_host),
        cmocka_unit_test(strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
