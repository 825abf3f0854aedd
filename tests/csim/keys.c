/*
 * keys.c - the keys of domains, hosts and the cluster in scripts, with the names of the manuals. Those of a
 * domain's policy and of the core's settings are tests/sim/keys.c's.
 */
#include "tests/csim/script.h"

#include <stdlib.h>
#include <string.h>

enum key_type { KEY_TEXT, KEY_U32, KEY_MIB, KEY_BOOL, KEY_WORD, KEY_PPM, KEY_SPAN };

struct key {
    const char *name;
    enum key_type type;
    size_t offset, size;
    const char *(*word)(int);
    int n_words;
};

static const char *mode_word(int v)
{
    return xha_move_mode_name((enum xha_move_mode)v);
}

static const char *placement_word(int v)
{
    return xha_placement_name((enum xha_placement)v);
}

#define FIELD(type, m) offsetof(struct type, m), sizeof(((struct type *)0)->m)

static const struct key needs_keys[] = {
    { "vcpus", KEY_U32, FIELD(xha_needs, vcpus), NULL, 0 },
    { "tags", KEY_TEXT, FIELD(xha_needs, tags), NULL, 0 },
    { "hosts", KEY_TEXT, FIELD(xha_needs, hosts), NULL, 0 },
    { "prefer", KEY_TEXT, FIELD(xha_needs, prefer), NULL, 0 },
    { "affinity", KEY_TEXT, FIELD(xha_needs, affinity), NULL, 0 },
    { "anti_affinity", KEY_TEXT, FIELD(xha_needs, anti_affinity), NULL, 0 },
    { "relocate", KEY_BOOL, FIELD(xha_needs, relocate), NULL, 0 },
    { "copy_storage", KEY_BOOL, FIELD(xha_needs, copy_storage), NULL, 0 }, /* storage = "copy" */
    { "failback", KEY_BOOL, FIELD(xha_needs, failback), NULL, 0 },
    { "migrate", KEY_WORD, FIELD(xha_needs, mode), mode_word, XHA_MOVE_MODE_N_ },
    { NULL, KEY_TEXT, 0, 0, NULL, 0 },
};

static const struct key host_keys[] = {
    { "memory", KEY_MIB, FIELD(csim_host_def, memory_kib), NULL, 0 },
    { "absent", KEY_BOOL, FIELD(csim_host_def, absent), NULL, 0 },
    { "no_watchdog", KEY_BOOL, FIELD(csim_host_def, no_watchdog), NULL, 0 },
    { "no_fence", KEY_BOOL, FIELD(csim_host_def, no_fence), NULL, 0 },
    { "fence_off", KEY_BOOL, FIELD(csim_host_def, fence_off), NULL, 0 },
    { "drift_ppm", KEY_PPM, FIELD(csim_host_def, drift_ppm), NULL, 0 },
    { "tags", KEY_TEXT, FIELD(csim_host_def, tags), NULL, 0 },
    { NULL, KEY_TEXT, 0, 0, NULL, 0 },
};

static const struct key cluster_keys[] = {
    { "placement", KEY_WORD, FIELD(xha_cluster_policy, placement), placement_word, XHA_PLACEMENT_N_ },
    { "survive", KEY_U32, FIELD(xha_cluster_policy, survive), NULL, 0 },
    { "parallel_moves", KEY_U32, FIELD(xha_cluster_policy, parallel_moves), NULL, 0 },
    { "move_timeout", KEY_SPAN, FIELD(xha_cluster_policy, move_timeout), NULL, 0 },
    { NULL, KEY_TEXT, 0, 0, NULL, 0 },
};

static int number_set(const struct key *key, void *field, const char *value)
{
    char *end;
    long long v = strtoll(value, &end, 10);

    if (end == value || *end || v < (key->type == KEY_PPM ? -20000 : 0) || v > UINT32_MAX)
        return -1;
    if (key->type == KEY_U32)
        *(uint32_t *)field = (uint32_t)v;
    else if (key->type == KEY_PPM)
        *(int32_t *)field = (int32_t)v;
    else
        *(uint64_t *)field = (uint64_t)v * 1024; /* scripts say MiB */
    return 0;
}

static int key_set(const struct key *key, void *base, const char *value)
{
    void *field = (char *)base + key->offset;
    int64_t ms;
    int w;

    switch (key->type) {
    case KEY_TEXT:
        if (strlen(value) >= key->size)
            return -1;
        snprintf(field, key->size, "%s", value);
        return 0;
    case KEY_BOOL:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return -1;
        *(bool *)field = !strcmp(value, "true");
        return 0;
    case KEY_SPAN:
        if (sim_span_parse(value, &ms))
            return -1;
        *(struct xha_span *)field = (struct xha_span){ ms };
        return 0;
    case KEY_WORD:
        w = sim_word_find(key->word, key->n_words, value);
        if (w < 0)
            return -1;
        if (key->size == 1)
            *(uint8_t *)field = (uint8_t)w;
        else
            *(int *)field = w; /* all enums of the core are ints */
        return 0;
    default:
        return number_set(key, field, value);
    }
}

/* 1: no key of these; 0: set; -1: a wrong value. */
static int token_apply(const struct key *keys, void *base, const char *tok, char *err, size_t err_len)
{
    const char *eq = strchr(tok, '=');

    if (!eq) {
        snprintf(err, err_len, "'%s' is not key=value", tok);
        return -1;
    }
    for (const struct key *key = keys; key->name; key++) {
        if (strlen(key->name) != (size_t)(eq - tok) || strncmp(key->name, tok, (size_t)(eq - tok)))
            continue;
        if (!key_set(key, base, eq + 1))
            return 0;
        snprintf(err, err_len, "'%s' is no value for %s", eq + 1, key->name);
        return -1;
    }
    snprintf(err, err_len, "there is no key '%.*s'", (int)(eq - tok), tok);
    return 1;
}

static int text_apply(const struct key *keys, void *base, const char *text, char *err, size_t err_len)
{
    char copy[CSIM_TEXT_MAX], *save = NULL;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        snprintf(err, err_len, "the line is too long");
        return -1;
    }
    for (char *tok = strtok_r(copy, " \t\r\n", &save); tok; tok = strtok_r(NULL, " \t\r\n", &save))
        if (token_apply(keys, base, tok, err, err_len))
            return -1;
    return 0;
}

int csim_guest_apply(struct csim_guest_def *guest, const char *text, char *err, size_t err_len)
{
    char copy[CSIM_TEXT_MAX], *save = NULL;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        snprintf(err, err_len, "the line is too long");
        return -1;
    }
    for (char *tok = strtok_r(copy, " \t\r\n", &save); tok; tok = strtok_r(NULL, " \t\r\n", &save)) {
        int r = token_apply(needs_keys, &guest->needs, tok, err, err_len);

        if (r < 0 || (r > 0 && sim_policy_apply(&guest->policy, tok, err, err_len)))
            return -1;
    }
    return 0;
}

int csim_host_apply(struct csim_host_def *host, const char *text, char *err, size_t err_len)
{
    return text_apply(host_keys, host, text, err, err_len);
}

int csim_cluster_apply(struct xha_cluster_policy *policy, const char *text, char *err, size_t err_len)
{
    return text_apply(cluster_keys, policy, text, err, err_len);
}

void csim_guest_default(struct csim_guest_def *guest)
{
    memset(guest, 0, sizeof(*guest));
    sim_policy_default(&guest->policy);
    guest->needs.vcpus = 1;
    guest->needs.relocate = true;
}

void csim_host_default(struct csim_host_def *host)
{
    *host = (struct csim_host_def){ .memory_kib = 65536ULL * 1024 };
}

void csim_cluster_default(struct xha_cluster_policy *policy)
{
    struct xha_timing_wish wish;

    *policy = (struct xha_cluster_policy){
        .placement = XHA_PLACE_BEST_FIT,
        .parallel_moves = 2,
        .move_timeout = { 600000 },
    };
    xha_timing_defaults(&wish);
    xha_timing_make(&wish, &policy->timing);
}

const char *csim_host_text(const struct csim_host_def *host, char *buf, size_t len)
{
    struct csim_host_def plain;
    size_t used = 0;

    csim_host_default(&plain);
    buf[0] = '\0';
    if (host->memory_kib != plain.memory_kib)
        used += (size_t)snprintf(buf + used, len - used, " memory=%llu",
                                 (unsigned long long)host->memory_kib / 1024);
    if (host->absent)
        used += (size_t)snprintf(buf + used, len - used, " absent=true");
    if (host->no_watchdog)
        used += (size_t)snprintf(buf + used, len - used, " no_watchdog=true");
    if (host->no_fence)
        used += (size_t)snprintf(buf + used, len - used, " no_fence=true");
    if (host->fence_off)
        used += (size_t)snprintf(buf + used, len - used, " fence_off=true");
    if (host->drift_ppm)
        used += (size_t)snprintf(buf + used, len - used, " drift_ppm=%d", host->drift_ppm);
    if (host->tags[0])
        used += (size_t)snprintf(buf + used, len - used, " tags=%s", host->tags);
    return used ? memmove(buf, buf + 1, used) : buf;
}
