/*
 * peers_texts.c - a domain's policy and configuration, carried beside the cluster's state.
 *
 * The state names both by their digests (XXH3-128). Whoever protects a domain multicasts the texts before the
 * order; every host puts them aside and, once the state says that they hold, stores them as any domain of its
 * own. What a host misses it asks for; asked again, another one answers.
 *
 *   'T' uuid[16] kind[1] digest[16] bytes…         'W' uuid[16] kind[1] digest[16] attempt[1]
 *
 * The policy is the owner's file, byte by byte. The configuration is JSON: name, source, facts, config, sched.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>
#include <xxhash.h>

#define HEAD_BYTES (16 + 1 + XHA_DIGEST)
#define TEXT_MAX   (4u << 20)
#define ASIDE_MAX  (64u << 20) /* bytes put aside in all */
#define ASIDE_MS   600000      /* what was not wanted by then is dropped */
#define ASK_MS     1000        /* between two questions for the same text */

enum { KIND_POLICY, KIND_CONFIG, KIND_N };

struct xha_text {
    struct xha_text *next;
    struct xha_uuid uuid;
    uint8_t kind, digest[XHA_DIGEST];
    uint8_t *bytes; /* NULL: asked for */
    size_t len;
    int64_t ms; /* put aside, or asked for, then */
    uint8_t attempt;
};

/* ---- digests ---- */

static void digest_of(const void *bytes, size_t len, uint8_t digest_r[XHA_DIGEST])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
    memcpy(digest_r, canonical.digest, XHA_DIGEST);
}

/* The caller frees. NULL: no memory. */
static char *config_text(const struct xha_domain *dom, json_t *config)
{
    json_t *json = json_pack("{s:s, s:s, s:O?, s:O}", "name", dom->name, "source", dom->source, "facts",
                             dom->facts, "config", config);
    char *text;

    if (json && dom->sched_set)
        json_object_set_new(json, "sched",
                            json_pack("{s:I, s:I, s:s, s:s}", "weight", (json_int_t)dom->sched.weight, "cap",
                                      (json_int_t)dom->sched.cap, "affinity", dom->sched.affinity, "pool",
                                      dom->sched.pool));
    text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    return text;
}

static json_t *stored_config(const struct xha_peers *p, const struct xha_domain *dom)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char path[XHA_JOB_PATH_MAX];
    size_t len;

    xha_domains_path(&p->d->domains, &dom->uuid, "/config.json", path, sizeof path);
    if (xha_file_read(path, TEXT_MAX, &text, &len) < 0)
        return NULL;
    return json_loadb(text, len, 0, NULL);
}

/* The texts as they go over the ring. false: they cannot be read. Both are freed by the caller. */
static bool texts_of(const struct xha_peers *p, const struct xha_domain *dom, char *text_r[KIND_N])
{
    json_t *config = dom->config ? json_incref(dom->config) : stored_config(p, dom);

    text_r[KIND_POLICY] = strdup(dom->policy_text);
    text_r[KIND_CONFIG] = config ? config_text(dom, config) : NULL;
    json_decref(config);
    return text_r[KIND_POLICY] && text_r[KIND_CONFIG];
}

static void free_texts(char *text[KIND_N])
{
    free(text[KIND_POLICY]);
    free(text[KIND_CONFIG]);
}

void xha_texts_digest(struct xha_peers *p, struct xha_domain *dom)
{
    char *text[KIND_N] = { NULL };

    if (texts_of(p, dom, text)) {
        digest_of(text[KIND_POLICY], strlen(text[KIND_POLICY]), dom->digest_policy);
        digest_of(text[KIND_CONFIG], strlen(text[KIND_CONFIG]), dom->digest_config);
    }
    free_texts(text);
}

/* ---- over the ring ---- */

static void send_text(struct xha_peers *p, const struct xha_uuid *uuid, uint8_t kind, const void *bytes,
                      size_t len)
{
    uint8_t *out = malloc(HEAD_BYTES + len);

    if (!out)
        return; /* whoever needs it asks again */
    memcpy(out, uuid->b, 16);
    out[16] = kind;
    digest_of(bytes, len, out + 17);
    memcpy(out + HEAD_BYTES, bytes, len);
    xha_peers_send(p, XHA_PEERS_TEXT, out, HEAD_BYTES + len);
    free(out);
}

int xha_texts_send(struct xha_peers *p, struct xha_domain *dom)
{
    char *text[KIND_N] = { NULL };
    bool ok = texts_of(p, dom, text);

    for (uint8_t kind = 0; ok && kind < KIND_N; kind++) {
        size_t len = strlen(text[kind]);

        digest_of(text[kind], len, kind == KIND_POLICY ? dom->digest_policy : dom->digest_config);
        send_text(p, &dom->uuid, kind, text[kind], len);
    }
    free_texts(text);
    return ok ? 0 : -1;
}

static void ask(struct xha_peers *p, struct xha_text *t)
{
    uint8_t out[HEAD_BYTES + 1];

    memcpy(out, t->uuid.b, 16);
    out[16] = t->kind;
    memcpy(out + 17, t->digest, XHA_DIGEST);
    out[HEAD_BYTES] = t->attempt++;
    t->ms = xha_clock_monotonic_ms();
    xha_peers_send(p, XHA_PEERS_WANT, out, sizeof out);
}

/* Of the members but the one that asks, the attempt's turn: so the first ask costs one answer, not many. */
static bool is_our_turn(const struct xha_peers *p, unsigned asker, uint8_t attempt)
{
    xha_hostset others = p->members & ~((xha_hostset)1 << asker);
    unsigned n = (unsigned)__builtin_popcountll(others), turn = n ? attempt % n : 0;

    for (unsigned host = 0; host < XHA_HOSTS_MAX; host++) {
        if (!(others >> host & 1))
            continue;
        if (turn-- == 0)
            return host == p->self;
    }
    return false;
}

void xha_texts_hear_want(struct xha_peers *p, unsigned host, const uint8_t *bytes, size_t len)
{
    struct xha_uuid uuid;
    struct xha_domain *dom;
    char *text[KIND_N] = { NULL };
    uint8_t digest[XHA_DIGEST];

    if (len != HEAD_BYTES + 1 || bytes[16] >= KIND_N || host == p->self ||
        !is_our_turn(p, host, bytes[HEAD_BYTES]))
        return;
    memcpy(uuid.b, bytes, 16);
    dom = xha_domains_find(&p->d->domains, &uuid);
    if (dom && texts_of(p, dom, text)) {
        digest_of(text[bytes[16]], strlen(text[bytes[16]]), digest);
        if (memcmp(digest, bytes + 17, XHA_DIGEST) == 0)
            send_text(p, &uuid, bytes[16], text[bytes[16]], strlen(text[bytes[16]]));
    }
    free_texts(text);
}

/* ---- put aside ---- */

static void drop(struct xha_peers *p, struct xha_text **at)
{
    struct xha_text *t = *at;

    *at = t->next;
    p->text_bytes -= t->len;
    free(t->bytes);
    free(t);
}

static struct xha_text *find(const struct xha_peers *p, const struct xha_uuid *uuid, uint8_t kind,
                             const uint8_t *digest)
{
    for (struct xha_text *t = p->texts; t; t = t->next)
        if (t->kind == kind && xha_uuid_equal(&t->uuid, uuid) && memcmp(t->digest, digest, XHA_DIGEST) == 0)
            return t;
    return NULL;
}

static struct xha_text *add(struct xha_peers *p, const struct xha_uuid *uuid, uint8_t kind,
                            const uint8_t *digest)
{
    struct xha_text *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->uuid = *uuid;
    t->kind = kind;
    memcpy(t->digest, digest, XHA_DIGEST);
    t->next = p->texts;
    p->texts = t;
    return t;
}

/* The old ones, and the oldest when there is too much. */
static void tidy(struct xha_peers *p)
{
    int64_t now = xha_clock_monotonic_ms();

    for (struct xha_text **at = &p->texts; *at;) {
        if (now - (*at)->ms > ASIDE_MS || (p->text_bytes > ASIDE_MAX && !(*at)->next))
            drop(p, at);
        else
            at = &(*at)->next;
    }
}

void xha_texts_hear(struct xha_peers *p, const uint8_t *bytes, size_t len)
{
    uint8_t digest[XHA_DIGEST];
    struct xha_uuid uuid;
    struct xha_text *t;

    if (len <= HEAD_BYTES || len > HEAD_BYTES + TEXT_MAX || bytes[16] >= KIND_N)
        return;
    memcpy(uuid.b, bytes, 16);
    digest_of(bytes + HEAD_BYTES, len - HEAD_BYTES, digest);
    if (memcmp(digest, bytes + 17, XHA_DIGEST) != 0)
        return;
    tidy(p);
    t = find(p, &uuid, bytes[16], digest);
    if (!t)
        t = add(p, &uuid, bytes[16], digest);
    if (!t || t->bytes)
        return;
    t->bytes = malloc(len - HEAD_BYTES + 1);
    if (!t->bytes)
        return;
    t->len = len - HEAD_BYTES;
    memcpy(t->bytes, bytes + HEAD_BYTES, t->len);
    t->bytes[t->len] = '\0';
    t->ms = xha_clock_monotonic_ms();
    p->text_bytes += t->len;
    xha_texts_check(p, &uuid);
}

/* ---- what the state says, and what is here ---- */

static bool take_config(struct xha_domain *dom, const char *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *sched;
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *source = json_string_value(json_object_get(json, "source"));
    json_t *config = json_object_get(json, "config"), *facts = json_object_get(json, "facts");
    bool ok =
        name && name[0] && strlen(name) < sizeof dom->name && json_is_object(config) && json_is_object(facts);

    if (ok) {
        strcpy(dom->name, name);
        snprintf(dom->source, sizeof dom->source, "%s", source ? source : "");
        dom->config = json_incref(config);
        dom->facts = json_incref(facts);
        sched = json_object_get(json, "sched");
        dom->sched_set = json_is_object(sched);
        if (dom->sched_set) {
            const char *affinity = json_string_value(json_object_get(sched, "affinity"));
            const char *pool = json_string_value(json_object_get(sched, "pool"));

            dom->sched.weight = (uint32_t)json_integer_value(json_object_get(sched, "weight"));
            dom->sched.cap = (uint32_t)json_integer_value(json_object_get(sched, "cap"));
            snprintf(dom->sched.affinity, sizeof dom->sched.affinity, "%s", affinity ? affinity : "all");
            snprintf(dom->sched.pool, sizeof dom->sched.pool, "%s", pool ? pool : "");
        }
    }
    json_decref(json);
    return ok;
}

static struct xha_domain *make_domain(const struct xha_uuid *uuid, char *text[KIND_N])
{
    struct xha_domain *dom = calloc(1, sizeof *dom);
    struct xha_problems problems = { 0 };
    int rc = XHA_CONF_E_BAD;

    if (!dom)
        return NULL;
    dom->uuid = *uuid;
    dom->policy_text = strdup(text[KIND_POLICY]);
    if (dom->policy_text && take_config(dom, text[KIND_CONFIG], strlen(text[KIND_CONFIG])))
        rc = xha_domain_spec_parse(dom->source, dom->policy_text, strlen(dom->policy_text), &dom->spec,
                                   &problems);
    xha_problems_clear(&problems);
    if (rc != XHA_CONF_OK) {
        xha_domain_free(dom);
        return NULL;
    }
    dom->spec.policy.memory_kib = (uint64_t)json_integer_value(json_object_get(dom->facts, "memory_kib"));
    xha_domain_sched_of_policy(dom);
    dom->shared = true;
    digest_of(text[KIND_POLICY], strlen(text[KIND_POLICY]), dom->digest_policy);
    digest_of(text[KIND_CONFIG], strlen(text[KIND_CONFIG]), dom->digest_config);
    return dom;
}

static bool install(struct xha_peers *p, const struct xha_uuid *uuid, char *text[KIND_N])
{
    struct xha_domain *dom = make_domain(uuid, text);
    char err[XHA_JOB_PATH_MAX + 200];

    if (!dom) {
        xha_log(XHA_LOG_ERROR,
                "the texts of a domain are not understood: is another host of a newer release?");
        return false;
    }
    if (xha_domains_store(&p->d->domains, dom, err, sizeof err) < 0) {
        xha_log(XHA_LOG_ERROR, "the texts of a domain cannot be kept: it is not taken here until they can",
                XHA_S("domain", dom->name), XHA_S("why", err));
        xha_domain_free(dom);
        return false;
    }
    json_decref(dom->config);
    dom->config = NULL;
    if (xha_domains_put(&p->d->domains, dom) < 0)
        abort();
    xha_observer_track(p->d->observer, uuid, dom->spec.policy.heartbeat == XHA_BEAT_AGENT);
    xha_history_text(p->d->history, "xhad", uuid, dom->name, "policy taken from the cluster");
    return true;
}

/* One text of a domain, from what was put aside or from what is here; else it is asked for. */
static char *gather(struct xha_peers *p, const struct xha_domain *here, char *ours[KIND_N],
                    const struct xha_uuid *uuid, uint8_t kind, const uint8_t *digest)
{
    struct xha_text *t;

    if (here &&
        memcmp(kind == KIND_POLICY ? here->digest_policy : here->digest_config, digest, XHA_DIGEST) == 0)
        return ours[kind] ? strdup(ours[kind]) : NULL;
    t = find(p, uuid, kind, digest);
    if (t && t->bytes)
        return strdup((const char *)t->bytes);
    if (!t)
        t = add(p, uuid, kind, digest);
    if (t && p->up && (t->attempt == 0 || xha_clock_monotonic_ms() - t->ms >= ASK_MS))
        ask(p, t);
    return NULL;
}

static void forget_aside(struct xha_peers *p, const struct xha_uuid *uuid)
{
    for (struct xha_text **at = &p->texts; *at;) {
        if (xha_uuid_equal(&(*at)->uuid, uuid))
            drop(p, at);
        else
            at = &(*at)->next;
    }
}

static bool is_here(const struct xha_domain *dom, const struct xha_cluster_domain *state)
{
    return dom && memcmp(dom->digest_policy, state->digest_policy, XHA_DIGEST) == 0 &&
           memcmp(dom->digest_config, state->digest_config, XHA_DIGEST) == 0;
}

bool xha_texts_are_here(const struct xha_peers *p, const struct xha_uuid *uuid)
{
    struct xha_cluster_domain state;

    return xha_cluster_find(xha_peers_state(p), uuid, &state) != 0 ||
           is_here(xha_domains_find(&p->d->domains, uuid), &state);
}

static void mark_shared(struct xha_peers *p, struct xha_domain *dom)
{
    char err[XHA_JOB_PATH_MAX + 200];

    if (dom->shared)
        return;
    dom->shared = true;
    if (xha_domains_store_facts(&p->d->domains, dom, err, sizeof err) < 0)
        dom->shared = false; /* the next look tries it again */
}

/* true: the texts that the state names are here. */
static bool have(struct xha_peers *p, struct xha_domain *dom, const struct xha_cluster_domain *state)
{
    if (!is_here(dom, state))
        return false;
    mark_shared(p, dom);
    xha_node_have_texts(p->node, &state->uuid, state->digest_config);
    return true;
}

static void fetch(struct xha_peers *p, const struct xha_cluster_domain *state, const struct xha_domain *here)
{
    char *ours[KIND_N] = { NULL }, *text[KIND_N] = { NULL };
    struct xha_uuid uuid = state->uuid;

    if (here)
        (void)texts_of(p, here, ours);
    text[KIND_POLICY] = gather(p, here, ours, &uuid, KIND_POLICY, state->digest_policy);
    text[KIND_CONFIG] = gather(p, here, ours, &uuid, KIND_CONFIG, state->digest_config);
    if (text[KIND_POLICY] && text[KIND_CONFIG] && install(p, &uuid, text)) {
        forget_aside(p, &uuid);
        xha_node_have_texts(p->node, &uuid, state->digest_config);
    } else {
        p->texts_missing++;
    }
    free_texts(ours);
    free_texts(text);
}

/* The state no longer knows it: what is kept of it goes, once nothing is done with it any more. */
static void remove_unknown(struct xha_peers *p, struct xha_domain *dom)
{
    struct xha_cluster_status status;
    struct xha_view view;

    xha_cluster_status(xha_peers_state(p), &status);
    if (!dom->shared || !status.synced || xha_core_find(p->d->core, &dom->uuid, &view) == 0)
        return;
    xha_log(XHA_LOG_INFO, "domain is no longer protected", XHA_S("domain", dom->name));
    xha_observer_untrack(p->d->observer, &dom->uuid);
    xha_repls_forget(p->d->repls, &dom->uuid);
    xha_domains_remove(&p->d->domains, dom);
}

void xha_texts_check(struct xha_peers *p, const struct xha_uuid *uuid)
{
    struct xha_domain *dom = xha_domains_find(&p->d->domains, uuid);
    struct xha_cluster_domain state;
    struct xha_cluster_event ev = { .type = XHA_CEV_TICK };

    if (xha_cluster_find(xha_peers_state(p), uuid, &state) != 0) {
        if (dom)
            remove_unknown(p, dom);
        return;
    }
    if (!have(p, dom, &state))
        fetch(p, &state, dom);
    xha_peers_step(p, &ev); /* it may be taken now */
}

void xha_texts_check_all(struct xha_peers *p)
{
    const struct xha_cluster *cluster = xha_peers_state(p);
    struct xha_cluster_event ev = { .type = XHA_CEV_TICK };
    struct xha_cluster_domain state;

    p->texts_missing = 0;
    for (uint32_t i = 0; i < xha_cluster_count(cluster); i++) {
        struct xha_domain *dom;

        xha_cluster_domain(cluster, i, &state);
        dom = xha_domains_find(&p->d->domains, &state.uuid);
        if (!have(p, dom, &state))
            fetch(p, &state, dom);
    }
    for (size_t i = p->d->domains.n; i-- > 0;)
        if (xha_cluster_find(cluster, &p->d->domains.domain[i]->uuid, &state) != 0)
            remove_unknown(p, p->d->domains.domain[i]);
    xha_peers_step(p, &ev);
}

void xha_texts_close(struct xha_peers *p)
{
    while (p->texts)
        drop(p, &p->texts);
}
