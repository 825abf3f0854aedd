/*
 * cmd_config.c - reload and check-config: settings and policies, asked of xhad or read here.
 */
#include "xl-plugins/xl-ha.h"

#include <glob.h>
#include <string.h>

#include "xhad/base/policy.h"

static void print_texts(const json_t *texts, const char *how, FILE *out)
{
    const json_t *text;
    size_t i;

    json_array_foreach(texts, i, text)
    {
        fputs(how, out);
        xlha_print_line(json_is_string(text) ? json_string_value(text) : "?", out);
    }
}

/* Done only when xhad took all of it. */
int xlha_cmd_reload(struct xlha *x)
{
    const json_t *changed, *policies, *refused;
    json_t *result;
    int rc;

    rc = xlha_call(x, "reload", NULL, &result);
    if (rc)
        return rc;
    changed = json_object_get(result, "changed");
    refused = json_object_get(result, "refused");
    policies = json_object_get(result, "policies_refused");
    rc = json_array_size(refused) || json_array_size(policies) ? XLHA_FAILED : XLHA_DONE;
    if (x->json) {
        xlha_print_json(result);
    } else {
        if (!json_array_size(changed) && !rc)
            puts("no setting has changed");
        print_texts(changed, x->dry_run ? "would change " : "changed ", stdout);
        fflush(stdout);
        print_texts(refused, "", stderr);
        print_texts(policies, "", stderr);
    }
    json_decref(result);
    return rc;
}

/* The parameters of a file as JSON: name to value (as it would be written) and origin. */
static json_t *parameters(const struct xha_params *table, const void *obj, const struct xha_origin *origin,
                          const char *file)
{
    char value[XHA_PARAMS_VALUE_MAX], from[XHA_PARAMS_VALUE_MAX];
    json_t *all = json_object();

    for (size_t i = 0; i < table->n; i++) {
        const struct xha_param *param = &table->row[i];

        json_object_set_new(all, param->name,
                            json_pack("{s:s, s:s}", "value", xha_param_text(param, obj, value, sizeof(value)),
                                      "from",
                                      xha_param_origin_text(table, param, origin, file, from, sizeof(from))));
    }
    return all;
}

/* What is said of one file: appended to files with --json, else printed. */
static void report(const struct xlha *x, json_t *files, const char *path, const struct xha_problems *problems,
                   json_t *values)
{
    json_t *texts;

    if (!x->json) {
        xha_problems_print(problems, stderr);
        json_decref(values);
        return;
    }
    texts = json_array();
    for (size_t i = 0; i < problems->n; i++)
        json_array_append_new(texts, json_string(problems->text[i]));
    json_array_append_new(files, json_pack("{s:s, s:b, s:o, s:o?}", "file", path, "good", problems->n == 0,
                                           "problems", texts, "parameters", values));
}

static bool check_policy(const struct xlha *x, const char *path, const struct xha_conf *conf, json_t *files)
{
    struct xha_problems problems = { 0 };
    struct xha_domain_spec spec;
    json_t *values = NULL;
    bool good;

    if (!xha_domain_spec_load(path, &spec, &problems)) {
        xha_domain_spec_check(&spec, conf, &problems);
        values = parameters(&xha_domain_params, &spec, &spec.origin, path);
        if (x->verbose && !x->json && !problems.n)
            xha_domain_spec_print(&spec, false, stdout);
        xha_domain_spec_clear(&spec);
    }
    good = problems.n == 0;
    report(x, files, path, &problems, values);
    xha_problems_clear(&problems);
    return good;
}

/* Loads path, or the defaults when it is bad, so that policies can be checked against something. */
static bool check_conf(const struct xlha *x, const char *path, struct xha_conf *conf_r, json_t *files)
{
    struct xha_problems problems = { 0 };
    json_t *values = NULL;
    bool good = xha_conf_load(path, conf_r, &problems) == XHA_CONF_OK;

    if (good) {
        values = parameters(&xha_conf_params, conf_r, &conf_r->origin, path);
        if (x->verbose && !x->json)
            xha_conf_print(conf_r, false, stdout);
    }
    report(x, files, path, &problems, values);
    xha_problems_clear(&problems);
    if (!good)
        xha_conf_default(conf_r);
    return good;
}

static bool is_conf(const char *path)
{
    const char *slash = strrchr(path, '/');

    return !strncmp(slash ? slash + 1 : path, "xhad.conf", strlen("xhad.conf"));
}

static bool check_all_policies(const struct xlha *x, const struct xha_conf *conf, json_t *files)
{
    char pattern[1024];
    bool good = true;
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/*.conf", conf->policy_dir);
    if (!glob(pattern, 0, NULL, &found)) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            good &= check_policy(x, found.gl_pathv[i], conf, files);
        globfree(&found);
    }
    return good;
}

/*
 * Files called xhad.conf… are settings, all others policies, which are checked against the settings that are
 * named with them, else against those of this host where they are good, else the defaults.
 */
int xlha_cmd_check_config(struct xlha *x)
{
    struct xha_problems unsaid = { 0 };
    struct xha_conf conf = { 0 };
    json_t *files = json_array();
    bool good = true, have = false;

    for (int i = 0; i < x->n_args; i++) {
        if (!is_conf(x->args[i]))
            continue;
        xha_conf_clear(&conf);
        good &= check_conf(x, x->args[i], &conf, files);
        have = true;
    }
    if (!x->n_args)
        good &= check_conf(x, xha_conf_path, &conf, files);
    else if (!have && xha_conf_load(xha_conf_path, &conf, &unsaid))
        xha_conf_default(&conf);
    xha_problems_clear(&unsaid);
    for (int i = 0; i < x->n_args; i++)
        good &= is_conf(x->args[i]) || check_policy(x, x->args[i], &conf, files);
    if (!x->n_args)
        good &= check_all_policies(x, &conf, files);
    if (x->json)
        xlha_print_json(files);
    else if (good)
        puts("all is well");
    json_decref(files);
    xha_conf_clear(&conf);
    return good ? XLHA_DONE : XLHA_FAILED;
}
