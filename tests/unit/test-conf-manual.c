/*
 * man/xhad.conf.5 and man/xha-domain.5 against the tables: every parameter is there with its default, its
 * range and whether it changes live; and no parameter that there is not. Each stands in the manual as
 *
 *     .It Ic NAME
 *     ...
 *     Default: VALUE; LEAST to MOST.
 *     Not live.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "xhad/base/policy.h"

static void read_manual(const char *name, char **text_r)
{
    struct xha_problems problems = { 0 };
    char path[4096];
    size_t len;

    assert_non_null(getenv("XHA_SRC"));
    snprintf(path, sizeof(path), "%s/man/%s", getenv("XHA_SRC"), name);
    assert_int_equal(xha_params_slurp(path, text_r, &len, &problems), XHA_CONF_OK);
}

/* What the manual must say of a parameter, with newlines around it. */
static void wanted_text(const struct xha_param *param, const void *obj, char *buf, size_t len)
{
    char value[XHA_PARAMS_VALUE_MAX], least[32], most[32], range[80] = "";

    xha_param_text(param, obj, value, sizeof(value));
    if (!strcmp(value, "\"\""))
        strcpy(value, "none");
    if (param->type == XHA_PARAM_INT)
        snprintf(range, sizeof(range), "; %" PRId64 " to %" PRId64, param->min, param->max);
    if (param->type == XHA_PARAM_SECONDS)
        snprintf(range, sizeof(range), "; %s to %s", xha_param_seconds_text(param->min, least, sizeof(least)),
                 xha_param_seconds_text(param->max, most, sizeof(most)));
    snprintf(buf, len, "\nDefault: %s%s.\n%s", value, range, param->live ? "." : "Not live.\n.");
}

static void check(const struct xha_params *table, const void *obj, const char *name)
{
    char *manual = NULL, item[128], text[XHA_PARAMS_VALUE_MAX + 200];
    size_t items = 0;

    read_manual(name, &manual);
    for (size_t i = 0; i < table->n; i++) {
        const char *start, *end;

        snprintf(item, sizeof(item), "\n.It Ic %s\n", table->row[i].name);
        start = strstr(manual, item);
        if (!start)
            fail_msg("%s does not describe %s", name, table->row[i].name);
        end = start ? strstr(start + 1, "\nDefault: ") : NULL;
        wanted_text(&table->row[i], obj, text, sizeof(text));
        if (!end || strncmp(end, text, strlen(text)))
            fail_msg("%s: of %s it must say:%s", name, table->row[i].name, text);
    }
    for (const char *s = manual; (s = strstr(s, "\n.It Ic ")) != NULL; s++)
        items++;
    if (items != table->n)
        fail_msg("%s describes %zu parameters, but there are %zu", name, items, table->n);
    free(manual);
}

static void test_xhad_conf(void **state)
{
    struct xha_conf conf;

    (void)state;
    assert_int_equal(xha_conf_default(&conf), XHA_CONF_OK);
    check(&xha_conf_params, &conf, "xhad.conf.5");
    xha_conf_clear(&conf);
}

static void test_xha_domain(void **state)
{
    struct xha_domain_spec spec = { 0 };

    (void)state;
    assert_int_equal(xha_params_defaults(&xha_domain_params, &spec, &spec.origin), XHA_CONF_OK);
    check(&xha_domain_params, &spec, "xha-domain.5");
    xha_domain_spec_clear(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xhad_conf),
        cmocka_unit_test(test_xha_domain),
    };

    return cmocka_run_group_tests_name("conf-manual", tests, NULL, NULL);
}
