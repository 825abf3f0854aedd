/*
 * corosync_conf.c - writing, reading and changing corosync.conf; see corosync_conf.h.
 *
 * The format has one statement a line: "key: value", "section {" or "}"; see corosync.conf(5).
 */
#include "xl-plugins/corosync_conf.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/text.h"

static int fail(char why[XLHA_COROSYNC_WHY_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(char why[XLHA_COROSYNC_WHY_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, XLHA_COROSYNC_WHY_MAX, fmt, ap);
    va_end(ap);
    return -1;
}

/* ---- words ---- */

static bool is_word(const char *text, const char *also)
{
    if (!*text || *text == '-' || strlen(text) >= XLHA_COROSYNC_WORD_MAX)
        return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && !strchr(also, *text))
            return false;
    }
    return true;
}

int xlha_corosync_set_name(struct xlha_corosync *c, const char *name, char why[XLHA_COROSYNC_WHY_MAX])
{
    char safe[80];

    if (!is_word(name, "-_.") || strlen(name) > 15)
        return fail(why, "'%s': a cluster's name is 1 to 15 letters, digits, '-', '_' or '.'",
                    xha_text_escape(safe, sizeof(safe), name));
    strcpy(c->name, name);
    return 0;
}

int xlha_corosync_set_qdevice(struct xlha_corosync *c, const char *host, char why[XLHA_COROSYNC_WHY_MAX])
{
    char safe[80];

    if (!is_word(host, "-.:"))
        return fail(why, "--qdevice %s: give the name or address of the machine that runs corosync-qnetd",
                    xha_text_escape(safe, sizeof(safe), host));
    strcpy(c->qdevice, host);
    return 0;
}

const struct xlha_corosync_host *xlha_corosync_find(const struct xlha_corosync *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->host[i].name, name))
            return &c->host[i];
    }
    return NULL;
}

static uint32_t free_nodeid(const struct xlha_corosync *c)
{
    for (uint32_t id = 1; id <= XLHA_COROSYNC_HOSTS_MAX; id++) {
        size_t i = 0;

        while (i < c->n && c->host[i].nodeid != id)
            i++;
        if (i == c->n)
            return id;
    }
    return 0;
}

static const char *owner_of_address(const struct xlha_corosync *c, const char *address)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->host[i].address[0], address) || !strcmp(c->host[i].address[1], address))
            return c->host[i].name;
    }
    return NULL;
}

/* Takes spec apart into host; a copy is cut up. */
static int take_apart(const char *spec, struct xlha_corosync_host *host, char why[XLHA_COROSYNC_WHY_MAX])
{
    char copy[3 * XLHA_COROSYNC_WORD_MAX], safe[120];
    char *address[2] = { NULL, NULL };

    if (strlen(spec) < sizeof(copy)) {
        strcpy(copy, spec);
        address[0] = strchr(copy, '=');
    }
    if (address[0]) {
        *address[0]++ = '\0';
        address[1] = strchr(address[0], ',');
        if (address[1])
            *address[1]++ = '\0';
    }
    if (!address[0] || !is_word(copy, "-_.") || strlen(copy) >= XHA_NAME_MAX || !is_word(address[0], "-.:") ||
        (address[1] && !is_word(address[1], "-.:")))
        return fail(why,
                    "'%s': give a host as NAME=ADDRESS or NAME=ADDRESS,ADDRESS, the second being its address "
                    "on another network",
                    xha_text_escape(safe, sizeof(safe), spec));
    strcpy(host->name, copy);
    strcpy(host->address[0], address[0]);
    strcpy(host->address[1], address[1] ? address[1] : "");
    return 0;
}

int xlha_corosync_add(struct xlha_corosync *c, const char *spec, char why[XLHA_COROSYNC_WHY_MAX])
{
    struct xlha_corosync_host host = { .nodeid = free_nodeid(c) };

    if (!host.nodeid || c->n == XLHA_COROSYNC_HOSTS_MAX)
        return fail(why, "a cluster has at most %d hosts", XLHA_COROSYNC_HOSTS_MAX);
    if (take_apart(spec, &host, why))
        return -1;
    if (xlha_corosync_find(c, host.name))
        return fail(why, "%s: there is a host of this name already", host.name);
    for (int i = 0; i < 2; i++) {
        const char *owner = host.address[i][0] ? owner_of_address(c, host.address[i]) : NULL;

        if (owner || (i && !strcmp(host.address[0], host.address[1])))
            return fail(why, "%s: %s is the address of %s already; each link needs one of its own", host.name,
                        host.address[i], owner ? owner : "its other link");
    }
    if (c->n && !c->host[0].address[1][0] != !host.address[1][0])
        return fail(why, "%s: give all hosts %s; %s has %s", host.name,
                    host.address[1][0] ? "one address" : "two addresses", c->host[0].name,
                    host.address[1][0] ? "one" : "two");
    c->host[c->n++] = host;
    return 0;
}

/* ---- writing ---- */

static bool wants_two_node(size_t n, const char *qdevice)
{
    return n == 2 && !*qdevice;
}

static void put_node(FILE *f, const struct xlha_corosync_host *host)
{
    fprintf(f, "    node {\n        name: %s\n        nodeid: %" PRIu32 "\n        ring0_addr: %s\n",
            host->name, host->nodeid, host->address[0]);
    if (host->address[1][0])
        fprintf(f, "        ring1_addr: %s\n", host->address[1]);
    fprintf(f, "    }\n");
}

static void put_two_node(FILE *f)
{
    fprintf(f, "    # Two hosts: each is quorate alone once both have met. A lost host must be fenced by an\n"
               "    # agent or a person; with a qdevice or a third host the watchdog would do.\n"
               "    two_node: 1\n"
               "    wait_for_all: 1\n");
}

static void put_totem(FILE *f, const struct xlha_corosync *c, const struct xha_timing *t)
{
    int links = c->host[0].address[1][0] ? 2 : 1;

    fprintf(f,
            "totem {\n"
            "    version: 2\n"
            "    config_version: %" PRIu32 "\n"
            "    cluster_name: %s\n"
            "    transport: knet\n"
            "    crypto_cipher: aes256\n"
            "    crypto_hash: sha256\n"
            "    # For a lost host to be noticed within %" PRId64 " ms; see xl-ha timing.\n"
            "    token: %" PRId64 "\n"
            "    token_coefficient: 0\n"
            "    consensus: %" PRId64 "\n",
            c->version, c->name, t->detection.ms, t->token.ms, t->consensus.ms);
    for (int i = 0; i < links; i++)
        fprintf(f,
                "    interface {\n"
                "        linknumber: %d\n"
                "        knet_ping_interval: %" PRId64 "\n"
                "        knet_ping_timeout: %" PRId64 "\n"
                "    }\n",
                i, t->knet_ping_interval.ms, t->knet_ping_timeout.ms);
    fprintf(f, "}\n\n");
}

static void put_quorum(FILE *f, const struct xlha_corosync *c, const struct xha_timing *t)
{
    struct xha_span timeout, sync;

    xha_timing_device(t, &timeout, &sync);
    fprintf(f, "quorum {\n    provider: corosync_votequorum\n");
    if (wants_two_node(c->n, c->qdevice))
        put_two_node(f);
    /* ffsplit gives its vote to one side only, so that quorum is never on both. */
    if (c->qdevice[0])
        fprintf(f,
                "    device {\n"
                "        model: net\n"
                "        votes: 1\n"
                "        # For it to know of a lost host as soon as the others do.\n"
                "        timeout: %" PRId64 "\n"
                "        sync_timeout: %" PRId64 "\n"
                "        net {\n"
                "            host: %s\n"
                "            algorithm: ffsplit\n"
                "            tls: on\n"
                "        }\n"
                "    }\n",
                timeout.ms, sync.ms, c->qdevice);
    fprintf(f, "}\n\n");
}

char *xlha_corosync_text(const struct xlha_corosync *c, const struct xha_timing *timing)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return NULL;
    fprintf(f,
            "# Written by xl-ha cluster; the same on all hosts. To change it: raise config_version, copy it\n"
            "# to all hosts, then corosync-cfgtool -R. See corosync.conf(5).\n\n");
    put_totem(f, c, timing);
    put_quorum(f, c, timing);
    fprintf(f, "logging {\n    to_syslog: yes\n    timestamp: on\n}\n\nnodelist {\n");
    for (size_t i = 0; i < c->n; i++)
        put_node(f, &c->host[i]);
    fprintf(f, "}\n");
    if (fclose(f)) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- reading ---- */

#define DEPTH_MAX 8

enum kind { LINE_OTHER, LINE_KEY, LINE_OPEN, LINE_CLOSE };

/* A walk over the lines of a file. */
struct walk {
    const char *next;
    const char *line; /* with its newline */
    size_t len;
    enum kind kind;
    char key[64], value[XLHA_COROSYNC_WORD_MAX];
    char section[DEPTH_MAX][64]; /* [0] is the outermost */
    int depth;                   /* of this line: a section's own braces stand outside of it */
};

/* One word of a line, without the blanks around it. */
static void word(char *buf, size_t size, const char *from, size_t len)
{
    while (len && isspace((unsigned char)*from))
        from++, len--;
    while (len && isspace((unsigned char)from[len - 1]))
        len--;
    if (len >= size)
        len = size - 1;
    memcpy(buf, from, len);
    buf[len] = '\0';
}

static void look_at(struct walk *w)
{
    const char *colon = memchr(w->line, ':', w->len), *brace = memchr(w->line, '{', w->len);
    char first[2];

    word(first, sizeof(first), w->line, w->len);
    w->kind = LINE_OTHER;
    if (*first == '#' || !*first)
        return;
    if (*first == '}') {
        w->kind = LINE_CLOSE;
    } else if (colon && (!brace || colon < brace)) {
        w->kind = LINE_KEY;
        word(w->key, sizeof(w->key), w->line, (size_t)(colon - w->line));
        word(w->value, sizeof(w->value), colon + 1, w->len - (size_t)(colon + 1 - w->line));
    } else if (brace) {
        w->kind = LINE_OPEN;
        word(w->key, sizeof(w->key), w->line, (size_t)(brace - w->line));
    }
}

/* The next line; false at the end. */
static bool step(struct walk *w)
{
    const char *end;

    if (w->kind == LINE_OPEN) {
        if (w->depth < DEPTH_MAX)
            strcpy(w->section[w->depth], w->key);
        w->depth++;
    }
    if (!*w->next)
        return false;
    w->line = w->next;
    end = strchr(w->line, '\n');
    w->next = end ? end + 1 : w->line + strlen(w->line);
    w->len = (size_t)(w->next - w->line);
    look_at(w);
    if (w->kind == LINE_CLOSE && w->depth)
        w->depth--;
    return true;
}

static bool inside(const struct walk *w, int depth, const char *outer, const char *inner)
{
    return w->depth == depth && !strcmp(w->section[0], outer) && (depth < 2 || !strcmp(w->section[1], inner));
}

static bool number(const char *text, uint32_t *value_r)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (!isdigit((unsigned char)*text) || *end || value > UINT32_MAX)
        return false;
    *value_r = (uint32_t)value;
    return true;
}

static void read_key(const struct walk *w, struct xlha_corosync *c)
{
    struct xlha_corosync_host *host = c->n ? &c->host[c->n - 1] : NULL;

    if (inside(w, 1, "totem", "") && !strcmp(w->key, "cluster_name"))
        strcpy(c->name, w->value);
    else if (inside(w, 1, "totem", "") && !strcmp(w->key, "config_version"))
        number(w->value, &c->version);
    else if (inside(w, 1, "quorum", "") && !strcmp(w->key, "two_node"))
        c->two_node = !strcmp(w->value, "1");
    else if (inside(w, 1, "quorum", "") && !strcmp(w->key, "wait_for_all"))
        c->wait_for_all = !strcmp(w->value, "1");
    else if (inside(w, 3, "quorum", "device") && !strcmp(w->key, "host"))
        strcpy(c->qdevice, w->value);
    else if (host && inside(w, 2, "nodelist", "node") && !strcmp(w->key, "name"))
        strcpy(host->name, w->value);
    else if (host && inside(w, 2, "nodelist", "node") && !strcmp(w->key, "nodeid"))
        number(w->value, &host->nodeid);
    else if (host && inside(w, 2, "nodelist", "node") && !strcmp(w->key, "ring0_addr"))
        strcpy(host->address[0], w->value);
    else if (host && inside(w, 2, "nodelist", "node") && !strcmp(w->key, "ring1_addr"))
        strcpy(host->address[1], w->value);
}

static int check_hosts(struct xlha_corosync *c, char why[XLHA_COROSYNC_WHY_MAX])
{
    if (!c->n)
        return fail(why, "it has no nodelist; xhad needs one, with a name and a nodeid for each host");
    for (size_t i = 0; i < c->n; i++) {
        struct xlha_corosync_host *host = &c->host[i];
        char safe[80];

        if (!host->name[0])
            strcpy(host->name, host->address[0]);
        if (host->nodeid < 1 || host->nodeid > XLHA_COROSYNC_HOSTS_MAX)
            return fail(why, "its host '%s' has no nodeid from 1 to %d; give it one, on all hosts",
                        xha_text_escape(safe, sizeof(safe), host->name), XLHA_COROSYNC_HOSTS_MAX);
    }
    return 0;
}

int xlha_corosync_parse(const char *text, struct xlha_corosync *c_r, char why[XLHA_COROSYNC_WHY_MAX])
{
    struct walk w = { .next = text };

    memset(c_r, 0, sizeof(*c_r));
    while (step(&w)) {
        if (w.kind == LINE_OPEN && inside(&w, 1, "nodelist", "") && !strcmp(w.key, "node")) {
            if (c_r->n == XLHA_COROSYNC_HOSTS_MAX)
                return fail(why, "it has more than %d hosts", XLHA_COROSYNC_HOSTS_MAX);
            c_r->n++;
        } else if (w.kind == LINE_KEY) {
            read_key(&w, c_r);
        }
    }
    return check_hosts(c_r, why);
}

/* ---- changing ---- */

struct change {
    const struct xlha_corosync_host *more; /* NULL: none */
    uint32_t less;                         /* nodeid; 0: none */
    bool had_two_node, two_node;           /* as it is in the file, as it is to be */
    bool had_version;
    uint32_t version;
};

/* The node blocks are told apart by their nodeid, which stands somewhere inside: one is kept until its end. */
static void put_block(FILE *f, struct walk *w, const struct change *change)
{
    const char *from = w->line;
    uint32_t nodeid = 0;
    int depth = w->depth;

    while (step(w) && !(w->kind == LINE_CLOSE && w->depth == depth)) {
        if (w->kind == LINE_KEY && w->depth == depth + 1 && !strcmp(w->key, "nodeid"))
            number(w->value, &nodeid);
    }
    if (!change->less || nodeid != change->less)
        fwrite(from, 1, (size_t)(w->next - from), f);
}

static void put_line(FILE *f, const struct walk *w, struct change *change)
{
    if (w->kind == LINE_KEY && inside(w, 1, "totem", "") && !strcmp(w->key, "config_version")) {
        fprintf(f, "    config_version: %" PRIu32 "\n", change->version);
        return;
    }
    /* Written anew, or no longer right; what belongs to it goes with it, and what was said about it. */
    if (change->had_two_node && inside(w, 1, "quorum", "") &&
        (w->kind == LINE_OTHER ||
         (w->kind == LINE_KEY && (!strcmp(w->key, "two_node") || !strcmp(w->key, "wait_for_all")))))
        return;
    if (w->kind == LINE_CLOSE && w->depth == 0 && !strcmp(w->section[0], "totem") && !change->had_version)
        fprintf(f, "    config_version: %" PRIu32 "\n", change->version);
    if (w->kind == LINE_CLOSE && w->depth == 0 && !strcmp(w->section[0], "quorum") && change->two_node)
        put_two_node(f);
    if (w->kind == LINE_CLOSE && w->depth == 0 && !strcmp(w->section[0], "nodelist") && change->more) {
        put_node(f, change->more);
        change->more = NULL;
    }
    fwrite(w->line, 1, w->len, f);
}

static char *put_changed(const char *text, struct change *change)
{
    struct walk w = { .next = text };
    char *changed = NULL;
    size_t len;
    FILE *f = open_memstream(&changed, &len);

    if (!f)
        return NULL;
    while (step(&w)) {
        if (w.kind == LINE_OPEN && inside(&w, 1, "nodelist", "") && !strcmp(w.key, "node"))
            put_block(f, &w, change);
        else
            put_line(f, &w, change);
    }
    if (fclose(f)) {
        free(changed);
        return NULL;
    }
    return changed;
}

char *xlha_corosync_with(const char *text, const struct xlha_corosync *c)
{
    struct change change = {
        .more = &c->host[c->n - 1],
        .had_two_node = c->two_node,
        .had_version = c->version != 0,
        .two_node = wants_two_node(c->n, c->qdevice),
        .version = c->version + 1,
    };

    return put_changed(text, &change);
}

char *xlha_corosync_without(const char *text, const struct xlha_corosync *c, uint32_t nodeid)
{
    struct change change = {
        .less = nodeid,
        .had_two_node = c->two_node,
        .had_version = c->version != 0,
        .two_node = wants_two_node(c->n - 1, c->qdevice),
        .version = c->version + 1,
    };

    return put_changed(text, &change);
}
