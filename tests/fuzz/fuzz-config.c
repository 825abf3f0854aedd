/*
 * xhad.conf and policies: arbitrary bytes as a file. A file is either refused with a reason, or gives values
 * within their limits; what is printed holds no control bytes; printing and comparing work on whatever came
 * out.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/conf.h"
#include "xhad/base/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

static void check_printable(const char *s)
{
    for (; *s; s++) {
        if (iscntrl((unsigned char)*s))
            abort();
    }
}

static void check_values(const struct xha_params *table, const void *obj)
{
    char text[XHA_PARAMS_VALUE_MAX];

    for (size_t i = 0; i < table->n; i++) {
        const struct xha_param *p = &table->row[i];

        if (p->type == XHA_PARAM_INT || p->type == XHA_PARAM_SECONDS) {
            if (xha_param_get(p, obj) < p->min || xha_param_get(p, obj) > p->max)
                abort();
        } else if (p->type == XHA_PARAM_ENUM) {
            if (xha_param_get(p, obj) < 0 || xha_param_get(p, obj) >= p->words)
                abort();
        } else if (p->type == XHA_PARAM_STRING || p->type == XHA_PARAM_PATH) {
            check_printable(xha_param_get_text(p, obj));
            if ((int64_t)strlen(xha_param_get_text(p, obj)) > p->max)
                abort();
        }
        check_printable(xha_param_text(p, obj, text, sizeof(text)));
    }
}

static void check_outcome(int rc, struct xha_problems *problems)
{
    if ((rc == XHA_CONF_OK) != (problems->n == 0))
        abort();
    for (size_t i = 0; i < problems->n; i++)
        check_printable(problems->text[i]);
    xha_problems_clear(problems);
}

/* What agents are told is one line each. */
static void check_fence(const struct xha_fence_conf *fence)
{
    struct xha_fence_conf copy;

    if (xha_fence_conf_copy(fence, &copy) != XHA_CONF_OK || !xha_fence_conf_equal(fence, &copy))
        abort();
    for (size_t i = 0; i < copy.n; i++) {
        check_printable(copy.device[i].plug);
        for (size_t j = 0; j < copy.device[i].options; j++)
            check_printable(copy.device[i].option[j].value);
    }
    xha_fence_conf_clear(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xha_problems problems = { .n = 0 };
    struct xha_domain_spec spec;
    struct xha_conf conf, defaults;
    int rc;

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    if (!nowhere || xha_conf_default(&defaults) != XHA_CONF_OK)
        abort();

    rc = xha_conf_parse("fuzz.conf", (const char *)data, size, &conf, &problems);
    check_outcome(rc, &problems);
    if (rc == XHA_CONF_OK) {
        check_values(&xha_conf_params, &conf);
        xha_conf_print(&conf, true, nowhere);
        check_fence(&conf.fence);
        xha_conf_clear(&conf);
    }

    rc = xha_domain_spec_parse("fuzz.policy", (const char *)data, size, &spec, &problems);
    check_outcome(rc, &problems);
    if (rc == XHA_CONF_OK) {
        check_values(&xha_domain_params, &spec);
        xha_domain_spec_print(&spec, true, nowhere);
        check_outcome(xha_domain_spec_check(&spec, &defaults, &problems), &problems);
        xha_domain_spec_clear(&spec);
    }
    xha_conf_clear(&defaults);
    return 0;
}
