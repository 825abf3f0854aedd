/*
 * core/place.h, one placement at a time: against a twin that looks at everything (place-twin.h), over
 * thousands of random changes; the same answers whatever the way there; and what people are told.
 */
#include "place-twin.h"

#include <stdio.h>

#define RUNS    400
#define CHANGES 120

/* ---- against the twin ---- */

static void change_host(struct twin *t)
{
    uint32_t h = twin_random(t, TWIN_HOSTS);

    if (!twin_chance(t, 5)) {
        twin_random_host(t, h);
        return;
    }
    xha_place_remove_host(t->place, h);
    t->known[h] = false;
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++)
        for (int i = 0; i < 2; i++)
            if (t->dom[d].on[i] == h)
                t->dom[d].on[i] = NONE;
}

static void change_domain(struct twin *t)
{
    uint32_t d = twin_random(t, TWIN_DOMAINS);
    struct xha_place_need need;

    if (twin_chance(t, 4)) {
        xha_place_remove_domain(t->place, d);
        t->dom[d] = (struct twin_dom){ .on = { NONE, NONE } };
        return;
    }
    twin_random_need(t, &need, 4);
    twin_domain(t, d, &need);
}

static void change_place(struct twin *t)
{
    uint32_t d = twin_random(t, TWIN_DOMAINS), h = twin_random(t, TWIN_HOSTS);
    bool there = twin_on(t, d, h), full = t->dom[d].on[0] != NONE && t->dom[d].on[1] != NONE;

    if (!t->known[h] || !t->dom[d].known) {
        assert_int_equal(xha_place_put(t->place, d, h), XHA_PLACE_E_STATE);
        assert_int_equal(xha_place_take(t->place, d, h), XHA_PLACE_E_STATE);
    } else if (there && twin_chance(t, 2)) {
        twin_take(t, d, h);
    } else if (there) {
        assert_int_equal(xha_place_put(t->place, d, h), XHA_PLACE_OK);
    } else if (full) {
        assert_int_equal(xha_place_put(t->place, d, h), XHA_PLACE_E_STATE);
    } else {
        assert_int_equal(xha_place_take(t->place, d, h), XHA_PLACE_E_STATE);
        twin_put(t, d, h);
    }
}

static void compare_reasons(const struct twin *t, const struct xha_place_query *q,
                            const struct xha_place_why *why)
{
    uint32_t excluded[XHA_PLACE_FILTER_N_] = { 0 }, hosts = 0, closest = NONE;

    for (uint32_t h = 0; h < TWIN_HOSTS; h++) {
        enum xha_place_filter f;

        if (!t->known[h])
            continue;
        hosts++;
        f = twin_filter(t, q, h);
        assert_int_equal(xha_place_may(t->place, q, h), f);
        excluded[f]++;
        if (f == XHA_PLACE_F_MEMORY && (closest == NONE || twin_free_kib(t, h) > twin_free_kib(t, closest)))
            closest = h;
    }
    assert_int_equal(why->hosts, hosts);
    assert_memory_equal(why->excluded, excluded, sizeof(excluded));
    assert_int_equal(why->closest, closest);
    if (closest != NONE)
        assert_int_equal(why->short_kib, (int64_t)q->need->memory_kib - twin_free_kib(t, closest));
    assert_int_equal(why->apart_from != NONE, excluded[XHA_PLACE_F_APART] > 0);
}

static void compare(struct twin *t)
{
    uint32_t d = twin_chance(t, 2) ? NONE : twin_random(t, TWIN_DOMAINS), host;
    struct xha_place_need need;
    struct xha_place_query q;
    struct xha_place_why why;

    if (d != NONE && t->dom[d].known)
        need = t->dom[d].need;
    else
        twin_random_need(t, &need, 4);
    twin_query(t, &need, d, &q);
    host = xha_place_find(t->place, &q, &why);
    assert_int_equal(host, twin_find(t, &q));
    if (host == NONE)
        compare_reasons(t, &q, &why);
    else
        assert_int_equal(why.hosts, 0);
}

static void test_twin(void **state)
{
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        twin_new(&t, seed);
        for (int i = 0; i < CHANGES; i++) {
            switch (twin_random(&t, 4)) {
            case 0:
                change_host(&t);
                break;
            case 1:
                change_domain(&t);
                break;
            default:
                change_place(&t);
            }
            compare(&t);
        }
        xha_place_audit(t.place);
        xha_place_free(t.place);
    }
}

/* ---- determinism ---- */

/* Another place with the same content, told in one go and from the back. */
static struct xha_place *rebuilt(const struct twin *t)
{
    const struct xha_place_sizes sizes = { TWIN_HOSTS, TWIN_DOMAINS, TWIN_GROUPS };
    struct xha_place *place;

    assert_int_equal(xha_place_new(&sizes, &place), XHA_PLACE_OK);
    for (uint32_t h = TWIN_HOSTS; h--;)
        if (t->known[h])
            assert_int_equal(xha_place_host(place, h, &t->host[h]), XHA_PLACE_OK);
    for (uint32_t d = TWIN_DOMAINS; d--;) {
        if (!t->dom[d].known)
            continue;
        assert_int_equal(xha_place_domain(place, d, &t->dom[d].need), XHA_PLACE_OK);
        for (int i = 2; i--;)
            if (t->dom[d].on[i] != NONE)
                assert_int_equal(xha_place_put(place, d, t->dom[d].on[i]), XHA_PLACE_OK);
    }
    return place;
}

static void test_the_way_does_not_matter(void **state)
{
    struct twin t;

    (void)state;
    for (uint64_t seed = 1000; seed < 1100; seed++) {
        const uint32_t hosts[2] = { 0, 1 };
        struct xha_place_move one[TWIN_DOMAINS], two[TWIN_DOMAINS];
        struct xha_place_survival s_one, s_two;
        struct xha_place *other;
        uint32_t n_one = 0, n_two = 0;

        twin_new(&t, seed);
        for (uint32_t h = 0; h < TWIN_HOSTS; h++)
            twin_random_host(&t, h);
        for (int i = 0; i < CHANGES; i++)
            if (twin_chance(&t, 3))
                change_domain(&t);
            else
                change_place(&t);
        other = rebuilt(&t);
        memset(one, 0, sizeof(one));
        memset(two, 0, sizeof(two));
        assert_int_equal(xha_place_leave(t.place, hosts, 2, XHA_PLACE_LEAVE_ALL, XHA_PLACE_BEST_FIT, NONE,
                                         one, TWIN_DOMAINS, &n_one),
                         XHA_PLACE_OK);
        assert_int_equal(xha_place_leave(other, hosts, 2, XHA_PLACE_LEAVE_ALL, XHA_PLACE_BEST_FIT, NONE, two,
                                         TWIN_DOMAINS, &n_two),
                         XHA_PLACE_OK);
        assert_int_equal(n_one, n_two);
        assert_memory_equal(one, two, sizeof(one));
        memset(&s_one, 0, sizeof(s_one));
        memset(&s_two, 0, sizeof(s_two));
        assert_int_equal(xha_place_survives(t.place, 2, XHA_PLACE_STEPS, &s_one), XHA_PLACE_OK);
        assert_int_equal(xha_place_survives(other, 2, XHA_PLACE_STEPS, &s_two), XHA_PLACE_OK);
        assert_memory_equal(&s_one, &s_two, sizeof(s_one));
        xha_place_free(other);
        xha_place_free(t.place);
    }
}

static void test_copy(void **state)
{
    const struct xha_place_sizes sizes = { TWIN_HOSTS, TWIN_DOMAINS, TWIN_GROUPS };
    struct xha_place *copy;
    struct twin t;

    (void)state;
    twin_new(&t, 7);
    for (uint32_t h = 0; h < TWIN_HOSTS; h++)
        twin_random_host(&t, h);
    for (int i = 0; i < CHANGES; i++)
        if (twin_chance(&t, 3))
            change_domain(&t);
        else
            change_place(&t);
    assert_int_equal(xha_place_new(&sizes, &copy), XHA_PLACE_OK);
    xha_place_copy(copy, t.place);
    xha_place_free(t.place);
    t.place = copy;
    xha_place_audit(copy);
    for (int i = 0; i < CHANGES; i++) {
        change_place(&t);
        compare(&t);
    }
    xha_place_free(copy);
}

/* ---- limits ---- */

static void test_refused(void **state)
{
    const struct xha_place_sizes none = { 0, 1, 0 }, sizes = { 2, 2, 1 };
    struct xha_place_host host = { .memory_kib = 1000 };
    struct xha_place_need need = { .memory_kib = 1 };
    struct xha_place *place;

    (void)state;
    assert_int_equal(xha_place_new(&none, &place), XHA_PLACE_E_INVAL);
    assert_int_equal(xha_place_new(&sizes, &place), XHA_PLACE_OK);
    assert_int_equal(xha_place_host(place, 2, &host), XHA_PLACE_E_INVAL);
    host.memory_kib = XHA_PLACE_MEMORY_MAX + 1;
    assert_int_equal(xha_place_host(place, 0, &host), XHA_PLACE_E_INVAL);
    assert_int_equal(xha_place_domain(place, 2, &need), XHA_PLACE_E_INVAL);
    need.apart[1] = 2;
    assert_int_equal(xha_place_domain(place, 0, &need), XHA_PLACE_E_INVAL);
    need.apart[1] = 0;
    need.n_only = XHA_PLACE_ONLY + 1;
    assert_int_equal(xha_place_domain(place, 0, &need), XHA_PLACE_E_INVAL);
    assert_null(xha_place_need(place, 0));
    xha_place_free(place);
}

/* ---- what people are told ---- */

static const char *host_name(void *user, uint32_t host)
{
    (void)user;
    return host == 1 ? "beta" : "alpha";
}

static void test_text(void **state)
{
    const struct xha_place_sizes sizes = { 4, 2, 1 };
    struct xha_place_host host = { .memory_kib = 1024 * 1024 };
    struct xha_place_need need = { .memory_kib = 2048 * 1024 };
    struct xha_place_query q = { .need = &need, .domain = NONE, .prefer = NONE, .after = NONE };
    struct xha_place_why why;
    struct xha_place *place;
    char text[200], small[20];

    (void)state;
    assert_int_equal(xha_place_new(&sizes, &place), XHA_PLACE_OK);
    assert_int_equal(xha_place_find(place, &q, &why), NONE);
    assert_string_equal(xha_place_why_text(&why, NULL, NULL, text, sizeof(text)), "no host is known");
    xha_place_host(place, 0, &host);
    host.memory_kib = 1536 * 1024;
    xha_place_host(place, 1, &host);
    host.state = XHA_PLACE_MAINTENANCE;
    xha_place_host(place, 3, &host);
    assert_int_equal(xha_place_find(place, &q, &why), NONE);
    assert_string_equal(xha_place_why_text(&why, host_name, NULL, text, sizeof(text)),
                        "no host fits: of 3, 2 are short of memory (closest: beta, 512 MiB short), "
                        "1 is in maintenance");
    assert_string_equal(xha_place_why_text(&why, NULL, NULL, small, sizeof(small)), "no host fits: of 3,");
    assert_string_equal(xha_placement_name(XHA_PLACE_WORST_FIT), "worst-fit");
    assert_string_equal(xha_placement_name(XHA_PLACEMENT_N_), "?");
    assert_string_equal(xha_place_filter_text(XHA_PLACE_FILTER_N_), "?");
    xha_place_free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twin), cmocka_unit_test(test_the_way_does_not_matter),
        cmocka_unit_test(test_copy), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests_name("core-place", tests, NULL, NULL);
}
