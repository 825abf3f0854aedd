/*
 * core/place.h, what-if and N+k: against a search through everything, over thousands of small random clusters
 * that are full of filters. Whatever is asked, the place is afterwards as it was.
 */
#include "place-twin.h"

#include <stdlib.h>

#define HOSTS 5
#define DOMS  9

/* So many clusters; under valgrind fewer. */
static uint64_t runs(void)
{
    return getenv("XHA_SHORT") ? 2000 : 30000;
}

/* Domains of one host: those of an affinity group that were lost together. */
struct lump {
    uint32_t dom[TWIN_DOMAINS], n;
    uint64_t memory_kib, vcpus;
};

struct lumps {
    struct lump lump[TWIN_DOMAINS];
    uint32_t n;
};

enum style {
    MIXED, /* all kinds of hosts and wishes */
    PLAIN, /* no wishes */
    SPARE, /* wishes, but no affinity, and much room */
    EQUAL, /* equal hosts, and groups are all that domains wish */
    STYLES
};

static void make_hosts(struct twin *t, enum style style)
{
    bool varied = style == MIXED || (style == PLAIN && twin_chance(t, 2));
    struct xha_place_host is = { .memory_kib = 4000 + twin_random(t, 8) * 1000 };

    for (uint32_t h = 0; h < HOSTS; h++) {
        if (varied) {
            twin_random_host(t, h);
            continue;
        }
        if (style == PLAIN)
            is.memory_kib = 3000 + twin_random(t, 8) * 1000;
        twin_host(t, h, &is);
    }
}

static void make(struct twin *t, uint64_t seed)
{
    enum style style = (enum style)(seed % STYLES);

    twin_new(t, seed);
    make_hosts(t, style);
    for (uint32_t d = 0; d < DOMS; d++) {
        struct xha_place_need need, groups;

        twin_random_need(t, &need, style == MIXED ? 6 : 1000000);
        twin_random_need(t, &groups, 6);
        if (style == SPARE) {
            need = groups;
            need.memory_kib /= 2 + twin_random(t, 3);
            need.vcpus = 0;
            need.n_only = 0;
            memset(need.together, 0, sizeof(need.together));
        }
        if (style == EQUAL) {
            memcpy(need.together, groups.together, sizeof(need.together));
            memcpy(need.apart, groups.apart, sizeof(need.apart));
        }
        need.memory_kib += twin_chance(t, 3) ? 1500 : 0;
        twin_domain(t, d, &need);
        if (!twin_chance(t, 10))
            twin_put(t, d, twin_random(t, HOSTS));
        if (twin_chance(t, 12) && !twin_on(t, d, d % HOSTS))
            twin_put(t, d, d % HOSTS);
    }
}

/* ---- the slow way ---- */

static bool joined(const struct twin *t, const struct lump *l, uint32_t d)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (twin_share(t->dom[l->dom[i]].need.together, t->dom[d].need.together))
            return true;
    return false;
}

static void add(const struct twin *t, struct lump *l, uint32_t d)
{
    const struct xha_place_need *need = &t->dom[d].need;

    l->dom[l->n++] = d;
    l->memory_kib += need->memory_kib;
    l->vcpus += need->vcpus;
}

static bool away(const struct twin *t, uint32_t h, uint32_t set)
{
    return h == NONE || (set >> h & 1) || t->host[h].state == XHA_PLACE_DOWN;
}

/* Takes off what loses its host when those of set (and those that are down) do, and lumps it. */
static void lose(struct twin *t, uint32_t set, bool all, struct lumps *lumps_r)
{
    bool lost[TWIN_DOMAINS] = { false };

    memset(lumps_r, 0, sizeof(*lumps_r));
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++) {
        const uint32_t *on = t->dom[d].on;
        bool there = false;

        for (int i = 0; i < 2; i++)
            there |= on[i] != NONE && (set >> on[i] & 1);
        lost[d] = t->dom[d].known && there && (all || t->dom[d].need.restart) && away(t, on[0], set) &&
                  away(t, on[1], set);
    }
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++) {
        struct lump *l = &lumps_r->lump[lumps_r->n];

        if (!lost[d])
            continue;
        lumps_r->n++;
        add(t, l, d);
        lost[d] = false;
        for (uint32_t e = d + 1; e < TWIN_DOMAINS; e++) {
            if (!lost[e] || !joined(t, l, e))
                continue;
            add(t, l, e);
            lost[e] = false;
            e = d; /* it may join others */
        }
    }
    for (uint32_t i = 0; i < lumps_r->n; i++)
        for (uint32_t j = 0; j < lumps_r->lump[i].n; j++)
            t->dom[lumps_r->lump[i].dom[j]].on[0] = t->dom[lumps_r->lump[i].dom[j]].on[1] = NONE;
    for (uint32_t h = 0; h < TWIN_HOSTS; h++)
        if (set >> h & 1)
            t->host[h].state = XHA_PLACE_DOWN;
}

static bool lump_fits(const struct twin *t, const struct lump *l, uint32_t h)
{
    if (!t->known[h] || t->host[h].state != XHA_PLACE_UP || twin_free_kib(t, h) < (int64_t)l->memory_kib ||
        twin_free_vcpus(t, h) < (int64_t)l->vcpus)
        return false;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct xha_place_query q = { .need = &t->dom[l->dom[i]].need, .domain = l->dom[i] };

        if (twin_filter(t, &q, h) != XHA_PLACE_FILTER_N_)
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (twin_share(q.need->apart, t->dom[l->dom[j]].need.apart))
                return false;
    }
    return true;
}

static void lump_put(struct twin *t, const struct lump *l, uint32_t h)
{
    for (uint32_t i = 0; i < l->n; i++)
        t->dom[l->dom[i]].on[0] = h;
}

static bool all_fit(struct twin *t, const struct lumps *lumps, uint32_t from)
{
    if (from == lumps->n)
        return true;
    for (uint32_t h = 0; h < TWIN_HOSTS; h++) {
        bool fit;

        if (!lump_fits(t, &lumps->lump[from], h))
            continue;
        lump_put(t, &lumps->lump[from], h);
        fit = all_fit(t, lumps, from + 1);
        lump_put(t, &lumps->lump[from], NONE);
        if (fit)
            return true;
    }
    return false;
}

static bool set_survives(const struct twin *t, uint32_t set)
{
    struct twin after = *t;
    struct lumps lumps;

    for (uint32_t h = 0; h < TWIN_HOSTS; h++)
        if (t->known[h] && t->host[h].state == XHA_PLACE_DOWN)
            set |= 1u << h;
    lose(&after, set, false, &lumps);
    return all_fit(&after, &lumps, 0);
}

/* A set of at most k hosts that does not survive, or NONE. */
static uint32_t fatal_set(const struct twin *t, uint32_t k)
{
    for (uint32_t set = 0; set < 1u << TWIN_HOSTS; set++) {
        bool known = true;

        if ((uint32_t)__builtin_popcount(set) > k)
            continue;
        for (uint32_t h = 0; h < TWIN_HOSTS; h++)
            if (set >> h & 1)
                known &= t->known[h] && t->host[h].state != XHA_PLACE_DOWN;
        if (known && !set_survives(t, set))
            return set;
    }
    return NONE;
}

/* ---- N+k ---- */

static void check_blocked(const struct twin *t, const struct xha_place_survival *s)
{
    uint32_t set = 0, excluded = 0;

    for (int i = 0; i < XHA_PLACE_K_MAX; i++) {
        if (s->lost[i] != NONE)
            set |= 1u << s->lost[i];
        assert_true(!i || s->lost[i] == NONE || s->lost[i - 1] < s->lost[i]);
    }
    assert_true((uint32_t)__builtin_popcount(set) <= s->k);
    assert_false(set_survives(t, set));
    assert_true(s->blocks < DOMS && t->dom[s->blocks].need.restart);
    for (int f = 0; f < XHA_PLACE_FILTER_N_; f++)
        excluded += s->why.excluded[f];
    assert_int_equal(excluded, s->why.hosts);
    assert_int_equal(s->why.hosts, HOSTS);
}

static void test_survives(void **state)
{
    uint32_t verdicts[XHA_PLACE_VERDICT_N_] = { 0 };
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= runs(); seed++) {
        uint32_t k = (uint32_t)(seed / STYLES % 4);
        struct xha_place_survival s;

        make(&t, seed);
        assert_int_equal(xha_place_survives(t.place, k, UINT64_C(1) << 40, &s), XHA_PLACE_OK);
        xha_place_audit(t.place);
        verdicts[s.verdict]++;
        assert_int_equal(s.verdict, fatal_set(&t, k) == NONE ? XHA_PLACE_FITS : XHA_PLACE_FITS_NOT);
        if (s.verdict != XHA_PLACE_FITS)
            check_blocked(&t, &s);
        xha_place_free(t.place);
    }
    /* the clusters must be neither hopeless nor empty, or nothing was tested */
    assert_true(verdicts[XHA_PLACE_FITS] > runs() / 10 && verdicts[XHA_PLACE_FITS_NOT] > runs() / 10);
}

/* With few steps it may not know, but it must not be wrong. */
static void test_few_steps(void **state)
{
    uint32_t unproven = 0;
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= runs() / 4; seed++) {
        struct xha_place_survival s;

        make(&t, seed);
        assert_int_equal(xha_place_survives(t.place, 2, seed % 40, &s), XHA_PLACE_OK);
        xha_place_audit(t.place);
        if (s.verdict == XHA_PLACE_UNPROVEN)
            unproven++;
        else
            assert_int_equal(s.verdict, fatal_set(&t, 2) == NONE ? XHA_PLACE_FITS : XHA_PLACE_FITS_NOT);
        xha_place_free(t.place);
    }
    assert_true(unproven > 0);
}

/* Domains that neither best-fit nor worst-fit packs, and a search does. */
static void test_needs_search(void **state)
{
    static const uint64_t lost[] = { 5, 4, 4, 3, 2, 2 }; /* into 10 and 10: 5+3+2, 4+4+2 */
    const struct xha_place_sizes sizes = { 3, 8, 1 };
    struct xha_place_host host = { .memory_kib = 10 };
    struct xha_place_survival s;
    struct xha_place *p;

    (void)state;
    assert_int_equal(xha_place_new(&sizes, &p), XHA_PLACE_OK);
    for (uint32_t h = 0; h < 3; h++) {
        host.memory_kib = h == 2 ? 20 : 10;
        assert_int_equal(xha_place_host(p, h, &host), XHA_PLACE_OK);
    }
    for (uint32_t d = 0; d < 6; d++) {
        struct xha_place_need need = { .memory_kib = lost[d], .restart = true };

        assert_int_equal(xha_place_domain(p, d, &need), XHA_PLACE_OK);
        assert_int_equal(xha_place_put(p, d, 2), XHA_PLACE_OK);
    }
    assert_int_equal(xha_place_survives(p, 1, XHA_PLACE_STEPS, &s), XHA_PLACE_OK);
    assert_int_equal(s.verdict, XHA_PLACE_FITS);
    xha_place_free(p);
}

/* ---- what if hosts were lost, or emptied ---- */

static uint32_t lump_of(const struct lumps *lumps, uint32_t d)
{
    for (uint32_t i = 0; i < lumps->n; i++)
        for (uint32_t j = 0; j < lumps->lump[i].n; j++)
            if (lumps->lump[i].dom[j] == d)
                return i;
    fail_msg("domain %u was not lost", d);
    return 0;
}

static bool lump_prefers(const struct twin *t, const struct lump *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (t->dom[l->dom[i]].need.has_prefer)
            return true;
    return false;
}

/* The choice for a lump, at its turn: somewhere if that is possible, and best-fit's unless one is preferred. */
static void check_choice(struct twin *after, const struct lump *l, uint32_t to)
{
    const struct xha_place_query q = { .policy = XHA_PLACE_BEST_FIT };
    uint32_t best = NONE;

    for (uint32_t h = 0; h < TWIN_HOSTS; h++)
        if (lump_fits(after, l, h) && (best == NONE || twin_better(after, &q, h, best)))
            best = h;
    if (to == NONE || !lump_prefers(after, l))
        assert_int_equal(to, best);
    else
        assert_true(lump_fits(after, l, to));
    lump_put(after, l, to);
}

static bool chooses_before(const struct twin *t, uint32_t x, uint32_t y)
{
    const struct xha_place_need *a = &t->dom[x].need, *b = &t->dom[y].need;

    if (a->tier != b->tier)
        return a->tier < b->tier;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->memory_kib != b->memory_kib ? a->memory_kib > b->memory_kib : x < y;
}

static struct lump part_of(const struct twin *t, const struct xha_place_move *move, uint32_t n)
{
    struct lump part = { 0 };

    for (uint32_t i = 0; i < n; i++)
        add(t, &part, move[i].domain);
    return part;
}

/* How many of the first n fit on one host. */
static uint32_t together(const struct twin *t, const struct xha_place_move *move, uint32_t n)
{
    for (; n; n--) {
        struct lump part = part_of(t, move, n);

        for (uint32_t h = 0; h < TWIN_HOSTS; h++)
            if (lump_fits(t, &part, h))
                return n;
    }
    return 0;
}

/* Those of one lump: as many as can go together do, each of the others goes where it may. */
static void check_lump(struct twin *after, const struct xha_place_move *move, uint32_t n)
{
    uint32_t most = together(after, move, n);

    for (uint32_t i = 0, part; i < n; i += part) {
        struct lump l;

        part = i < most ? most : 1;
        l = part_of(after, &move[i], part);
        for (uint32_t j = 1; j < part; j++)
            assert_int_equal(move[i + j].to, move[i].to);
        check_choice(after, &l, move[i].to);
    }
}

static void check_moves(const struct twin *t, uint32_t set, bool all, const struct xha_place_move *move,
                        uint32_t n, uint32_t *parts)
{
    struct twin after = *t;
    struct lumps lumps;
    uint32_t at = 0;

    lose(&after, set, all, &lumps);
    while (at < n) {
        uint32_t which = lump_of(&lumps, move[at].domain), size = lumps.lump[which].n;

        if (at)
            assert_true(chooses_before(
                t, move[at - lumps.lump[lump_of(&lumps, move[at - 1].domain)].n].domain, move[at].domain));
        for (uint32_t i = 0; i < size; i++) {
            assert_int_equal(lump_of(&lumps, move[at + i].domain), which);
            assert_true(!i || chooses_before(t, move[at + i - 1].domain, move[at + i].domain));
            assert_true(twin_on(t, move[at + i].domain, move[at + i].from) && (set >> move[at + i].from & 1));
            assert_int_equal(move[at + i].why.hosts, move[at + i].to == NONE ? HOSTS : 0);
            *parts += move[at + i].to != move[at].to;
        }
        check_lump(&after, &move[at], size);
        at += size;
    }
    for (uint32_t i = 0; i < lumps.n; i++)
        n -= lumps.lump[i].n;
    assert_int_equal(n, 0);
}

static void test_leave(void **state)
{
    uint32_t parts = 0; /* domains that could not go with their group */
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= runs(); seed++) {
        struct xha_place_move move[TWIN_DOMAINS];
        uint32_t hosts[2], n_hosts, n, fewer;
        bool all = seed / STYLES % 2;

        make(&t, seed);
        n_hosts = 1 + twin_random(&t, 2);
        hosts[0] = twin_random(&t, HOSTS);
        hosts[1] = (hosts[0] + 1) % HOSTS;
        assert_int_equal(xha_place_leave(t.place, hosts, n_hosts,
                                         all ? XHA_PLACE_LEAVE_ALL : XHA_PLACE_LEAVE_RESTART,
                                         XHA_PLACE_BEST_FIT, NONE, move, TWIN_DOMAINS, &n),
                         XHA_PLACE_OK);
        check_moves(&t, 1u << hosts[0] | (n_hosts > 1 ? 1u << hosts[1] : 0), all, move, n, &parts);
        xha_place_audit(t.place);
        assert_int_equal(xha_place_leave(t.place, hosts, n_hosts,
                                         all ? XHA_PLACE_LEAVE_ALL : XHA_PLACE_LEAVE_RESTART,
                                         XHA_PLACE_BEST_FIT, NONE, NULL, 0, &fewer),
                         XHA_PLACE_OK);
        assert_int_equal(fewer, n);
        xha_place_free(t.place);
    }
    assert_true(parts > runs() / 100);
}

/* Those that wait go where they would go had they just lost their host. */
static void test_seat(void **state)
{
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= runs(); seed++) {
        struct xha_place_move lost[TWIN_DOMAINS], waits[TWIN_DOMAINS];
        const struct xha_place_query q = { .policy = (enum xha_placement)(seed % XHA_PLACEMENT_N_),
                                           .prefer = NONE,
                                           .after = seed % 7 };
        uint32_t host, list[TWIN_DOMAINS], n;
        struct xha_place_host is;

        make(&t, seed);
        host = twin_random(&t, HOSTS);
        assert_int_equal(xha_place_leave(t.place, &host, 1, XHA_PLACE_LEAVE_ALL, q.policy, q.after, lost,
                                         TWIN_DOMAINS, &n),
                         XHA_PLACE_OK);
        is = t.host[host];
        is.state = XHA_PLACE_DOWN;
        twin_host(&t, host, &is);
        for (uint32_t i = 0; i < n; i++) {
            list[i] = lost[n - 1 - i].domain;
            for (int s = 0; s < 2; s++)
                if (t.dom[list[i]].on[s] != NONE)
                    twin_take(&t, list[i], t.dom[list[i]].on[s--]);
        }
        assert_int_equal(xha_place_seat(t.place, &q, list, n, waits), XHA_PLACE_OK);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(waits[i].domain, lost[i].domain);
            assert_int_equal(waits[i].from, NONE);
            assert_int_equal(waits[i].to, lost[i].to);
        }
        xha_place_audit(t.place);
        xha_place_free(t.place);
    }
}

static void test_leave_refused(void **state)
{
    const uint32_t twice[] = { 1, 1 }, unknown[] = { HOSTS };
    struct twin t;
    uint32_t n;

    (void)state;
    make(&t, 1);
    assert_int_equal(
        xha_place_leave(t.place, twice, 2, XHA_PLACE_LEAVE_ALL, XHA_PLACE_BEST_FIT, NONE, NULL, 0, &n),
        XHA_PLACE_E_INVAL);
    assert_int_equal(
        xha_place_leave(t.place, unknown, 1, XHA_PLACE_LEAVE_ALL, XHA_PLACE_BEST_FIT, NONE, NULL, 0, &n),
        XHA_PLACE_E_INVAL);
    xha_place_free(t.place);
}

/* ---- a domain more ---- */

static void test_add(void **state)
{
    struct twin t;

    (void)state;
    for (uint64_t seed = 1; seed <= runs() / 3; seed++) {
        struct xha_place_added added;
        struct xha_place_need need;
        struct xha_place_query q;

        make(&t, seed);
        twin_random_need(&t, &need, 6);
        twin_query(&t, &need, DOMS, &q);
        assert_int_equal(xha_place_add(t.place, &q, 1, UINT64_C(1) << 40, &added), XHA_PLACE_OK);
        xha_place_audit(t.place);
        assert_null(xha_place_need(t.place, DOMS));
        assert_int_equal(added.host, twin_find(&t, &q));
        if (added.host == NONE) {
            assert_int_equal(added.survival.verdict, XHA_PLACE_FITS_NOT);
            assert_int_equal(added.survival.blocks, DOMS);
            assert_int_equal(added.why.hosts, HOSTS);
        } else {
            twin_domain(&t, DOMS, &need);
            twin_put(&t, DOMS, added.host);
            assert_int_equal(added.survival.verdict,
                             fatal_set(&t, 1) == NONE ? XHA_PLACE_FITS : XHA_PLACE_FITS_NOT);
            q.domain = DOMS;
            assert_int_equal(xha_place_add(t.place, &q, 1, 1, &added), XHA_PLACE_E_STATE);
        }
        xha_place_free(t.place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_survives),      cmocka_unit_test(test_few_steps),
        cmocka_unit_test(test_needs_search),  cmocka_unit_test(test_leave),
        cmocka_unit_test(test_leave_refused), cmocka_unit_test(test_seat),
        cmocka_unit_test(test_add),
    };

    return cmocka_run_group_tests_name("core-place-lost", tests, NULL, NULL);
}
