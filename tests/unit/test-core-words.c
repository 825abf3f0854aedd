/*
 * test-core-words.c - every value of the core's enums has a word of its own, and nothing beyond them has one.
 */
#include "core-driver.h"

typedef const char *namer(int value);

#define NAMER(fn, type)                                                                                      \
    static const char *fn##_(int v)                                                                          \
    {                                                                                                        \
        return fn((type)v);                                                                                  \
    }
NAMER(xha_state_name, enum xha_state)
NAMER(xha_purpose_name, enum xha_purpose)
NAMER(xha_failure_name, enum xha_failure)
NAMER(xha_reaction_name, enum xha_reaction)
NAMER(xha_protection_name, enum xha_protection)
NAMER(xha_heartbeat_name, enum xha_heartbeat)
NAMER(xha_order_name, enum xha_order)
NAMER(xha_do_name, enum xha_order_type)
NAMER(xha_action_name, enum xha_action_type)
NAMER(xha_cause_name, enum xha_cause)
NAMER(xha_result_name, enum xha_result)
NAMER(xha_refusal_name, enum xha_refusal)
NAMER(xha_severity_name, enum xha_severity)

static const struct {
    namer *name;
    int n;
} all[] = {
    { xha_state_name_, XHA_ST_N_ },        { xha_purpose_name_, XHA_FOR_N_ },
    { xha_failure_name_, XHA_FAIL_N_ },    { xha_reaction_name_, XHA_REACT_N_ },
    { xha_protection_name_, XHA_PROT_N_ }, { xha_heartbeat_name_, XHA_BEAT_N_ },
    { xha_order_name_, XHA_ORDER_N_ },     { xha_do_name_, XHA_DO_N_ },
    { xha_action_name_, XHA_ACT_N_ },      { xha_cause_name_, XHA_CAUSE_N_ },
    { xha_result_name_, XHA_RESULT_N_ },   { xha_refusal_name_, XHA_REFUSAL_N_ },
    { xha_severity_name_, XHA_SEV_N_ },
};

static void test_each_has_its_own(void **state)
{
    (void)state;
    for (unsigned e = 0; e < sizeof(all) / sizeof(all[0]); e++) {
        for (int i = 0; i < all[e].n; i++) {
            assert_string_not_equal(all[e].name(i), "?");
            assert_true(strlen(all[e].name(i)) > 0);
            for (int j = 0; j < i; j++)
                assert_string_not_equal(all[e].name(i), all[e].name(j));
        }
    }
}

static void test_out_of_range(void **state)
{
    (void)state;
    for (unsigned e = 0; e < sizeof(all) / sizeof(all[0]); e++) {
        assert_string_equal(all[e].name(all[e].n), "?");
        assert_string_equal(all[e].name(-1), "?");
        assert_string_equal(all[e].name(INT32_MAX), "?");
    }
}

static void test_cause_texts(void **state)
{
    char buf[200], small[8];

    (void)state;
    for (int c = 0; c < XHA_CAUSE_N_; c++) {
        for (uint32_t detail = 0; detail < 300; detail += 7) {
            assert_ptr_equal(xha_cause_text((enum xha_cause)c, detail, buf, sizeof(buf)), buf);
            assert_true(strlen(buf) > 0);
            assert_null(strchr(buf, '%'));
        }
        xha_cause_text((enum xha_cause)c, UINT32_MAX, buf, sizeof(buf));
        xha_cause_text((enum xha_cause)c, 3, small, sizeof(small));
        assert_true(strlen(small) < sizeof(small));
    }
    assert_string_equal(xha_cause_text(XHA_CAUSE_N_, 0, buf, sizeof(buf)), "?");
    assert_string_equal(xha_cause_text(XHA_CAUSE_CORRUPT, 3, buf, sizeof(buf)),
                        "corrupt checkpoints passed over: 3");
    assert_string_equal(xha_cause_text(XHA_CAUSE_WORKER_REFUSED, XHA_ACT_START | XHA_REFUSAL_NO_MEMORY << 8,
                                       buf, sizeof(buf)),
                        "start was refused: no-memory");
}

static void test_error_texts(void **state)
{
    (void)state;
    for (int rc = XHA_CORE_E_QUORUM; rc <= 0; rc++)
        assert_string_not_equal(xha_core_error_text(rc), "?");
    assert_string_equal(xha_core_error_text(1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_its_own),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_cause_texts),
        cmocka_unit_test(test_error_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
