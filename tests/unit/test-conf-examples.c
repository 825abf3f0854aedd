/*
 * conf/: every file there loads, and conf/xhad.conf shows every parameter with the default that it really
 * has.
 */
#include "config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "xhad/base/policy.h"

static char *in_source(const char *name)
{
    const char *src = getenv("XHA_SRC");
    char *path = NULL;

    assert_non_null(src);
    assert_true(asprintf(&path, "%s/%s", src, name) > 0);
    return path;
}

static void test_domains(void **state)
{
    char *pattern = in_source("conf/domains/*.conf");
    struct xha_problems problems = { 0 };
    struct xha_conf conf;
    glob_t found;

    (void)state;
    assert_int_equal(xha_conf_default(&conf), XHA_CONF_OK);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 5);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct xha_domain_spec spec;
        int rc = xha_domain_spec_load(found.gl_pathv[i], &spec, &problems);

        if (!rc)
            rc = xha_domain_spec_check(&spec, &conf, &problems);
        xha_problems_print(&problems, stderr);
        assert_int_equal(rc, XHA_CONF_OK);
        xha_domain_spec_clear(&spec);
    }
    globfree(&found);
    xha_conf_clear(&conf);
    free(pattern);
}

static void test_xhad_conf_loads(void **state)
{
    char *path = in_source("conf/xhad.conf");
    struct xha_problems problems = { 0 };
    struct xha_conf conf, usual;

    (void)state;
    assert_int_equal(xha_conf_load(path, &conf, &problems), XHA_CONF_OK);
    assert_int_equal(xha_conf_default(&usual), XHA_CONF_OK);
    for (size_t i = 0; i < xha_conf_params.n; i++)
        assert_true(xha_param_equal(&xha_conf_params.row[i], &conf, &usual));
    xha_conf_clear(&conf);
    xha_conf_clear(&usual);
    free(path);
}

/* With the # taken away from every "#name = value;". */
static char *uncommented(const char *text)
{
    char *bare = strdup(text), *to = bare;

    assert_non_null(bare);
    for (const char *from = text; *from; from++) {
        bool line_start = from == text || from[-1] == '\n';

        if (!(line_start && from[0] == '#' && from[1] >= 'a' && from[1] <= 'z'))
            *to++ = *from;
    }
    *to = '\0';
    return bare;
}

static void test_xhad_conf_shows_every_default(void **state)
{
    char *path = in_source("conf/xhad.conf"), *text = NULL, *bare;
    struct xha_problems problems = { 0 };
    struct xha_conf conf, usual;
    size_t len;

    (void)state;
    assert_int_equal(xha_params_slurp(path, &text, &len, &problems), XHA_CONF_OK);
    bare = uncommented(text);
    assert_int_equal(xha_conf_parse("bare", bare, strlen(bare), &conf, &problems), XHA_CONF_OK);
    assert_int_equal(xha_conf_default(&usual), XHA_CONF_OK);
    for (size_t i = 0; i < xha_conf_params.n; i++) {
        const struct xha_param *param = &xha_conf_params.row[i];

        if (conf.origin.line[i] == XHA_FROM_DEFAULT)
            fail_msg("conf/xhad.conf does not show %s", param->name);
        if (!xha_param_equal(param, &conf, &usual))
            fail_msg("conf/xhad.conf shows another default for %s", param->name);
    }
    xha_conf_clear(&conf);
    xha_conf_clear(&usual);
    free(bare);
    free(text);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_xhad_conf_loads),
        cmocka_unit_test(test_xhad_conf_shows_every_default),
    };

    return cmocka_run_group_tests_name("conf-examples", tests, NULL, NULL);
}
