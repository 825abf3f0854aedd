/*
 * ctl/exec.c: the order of deeds, and what must be on disk before them.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "xhad/ctl/exec.h"

static char told[500]; /* what was done, in order */
static bool disk_full, dirty;

static void tell(const char *what, const struct xha_action *a)
{
    size_t at = strlen(told);

    snprintf(told + at, sizeof(told) - at, "%s%d ", what, (int)a->id);
}

static void persist(void *user, const struct xha_action *a)
{
    (void)user;
    dirty = true;
    tell("persist", a);
}

static void forget(void *user, const struct xha_action *a)
{
    (void)user;
    dirty = true;
    tell("forget", a);
}

/* As the daemon's: nothing to write is no commit. */
static int commit(void *user)
{
    (void)user;
    if (!dirty)
        return 0;
    strcat(told, disk_full ? "full " : "commit ");
    dirty = disk_full;
    return disk_full ? -1 : 0;
}

static void note(void *user, const struct xha_action *a)
{
    (void)user;
    tell("note", a);
}

static void alarm_(void *user, const struct xha_action *a)
{
    (void)user;
    tell("alarm", a);
}

static void deed(void *user, const struct xha_action *a)
{
    (void)user;
    tell("deed", a);
}

static void refuse(void *user, const struct xha_action *a)
{
    (void)user;
    tell("refuse", a);
}

static void ask(void *user, const struct xha_action *a)
{
    (void)user;
    tell("ask", a);
}

static const struct xha_exec_ops ops = { persist, forget, commit, note, alarm_, deed, refuse, ask };

static const char *run(size_t n, const enum xha_action_type *types)
{
    static struct xha_plan plan;

    told[0] = '\0';
    plan.n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        plan.action[i] = (struct xha_action){ .type = types[i], .id = i };
    xha_exec_plan(&plan, &ops, NULL);
    return told;
}

#define RUN(...)                                                                                             \
    run(sizeof((enum xha_action_type[]){ __VA_ARGS__ }) / sizeof(enum xha_action_type),                      \
        (enum xha_action_type[]){ __VA_ARGS__ })

static int begin(void **state)
{
    (void)state;
    disk_full = dirty = false;
    return 0;
}

/* Records that follow each other take one sync, and it comes before the deed. */
static void test_order(void **state)
{
    (void)state;
    assert_string_equal(RUN(XHA_ACT_PERSIST, XHA_ACT_PERSIST, XHA_ACT_NOTE, XHA_ACT_START, XHA_ACT_DESTROY),
                        "persist0 persist1 note2 commit deed3 deed4 ");
    assert_string_equal(RUN(XHA_ACT_START, XHA_ACT_PERSIST), "deed0 persist1 commit ");
    assert_string_equal(RUN(XHA_ACT_PERSIST, XHA_ACT_START, XHA_ACT_FORGET, XHA_ACT_SHUTDOWN),
                        "persist0 commit deed1 forget2 commit deed3 ");
}

static void test_questions_do_not_wait(void **state)
{
    (void)state;
    assert_string_equal(RUN(XHA_ACT_PERSIST, XHA_ACT_LOOK, XHA_ACT_PROBE, XHA_ACT_ALARM),
                        "persist0 ask1 ask2 alarm3 commit ");
}

/* Intent before deed: no record, no deed, also in the plans that follow. */
static void test_full_disk(void **state)
{
    (void)state;
    disk_full = true;
    assert_string_equal(RUN(XHA_ACT_PERSIST, XHA_ACT_START, XHA_ACT_LOOK, XHA_ACT_CHECKPOINT),
                        "persist0 full refuse1 ask2 full refuse3 full ");
    assert_string_equal(RUN(XHA_ACT_RESTORE), "full refuse0 full ");
    disk_full = false;
    assert_string_equal(RUN(XHA_ACT_RESUME, XHA_ACT_SCHED), "commit deed0 deed1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, begin),
        cmocka_unit_test_setup(test_questions_do_not_wait, begin),
        cmocka_unit_test_setup(test_full_disk, begin),
    };

    return cmocka_run_group_tests_name("ctl-exec", tests, NULL, NULL);
}
