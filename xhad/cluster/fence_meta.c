/*
 * fence_meta.c - the metadata of fence agents, by expat. A document type, and so any entity, is refused: agents
 * have none.
 */
#include "xhad/cluster/fence_meta.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 16

struct parse {
    XML_Parser parser;
    struct xha_fence_meta *meta;
    struct xha_fence_param *param; /* the element that we are in */
    unsigned depth;
    bool agent, bad;
};

static void stop(struct parse *p)
{
    p->bad = true;
    XML_StopParser(p->parser, XML_FALSE);
}

static const char *attribute(const char **attr, const char *name)
{
    for (; attr[0]; attr += 2)
        if (strcmp(attr[0], name) == 0)
            return attr[1];
    return "";
}

static void begin_param(struct parse *p, const char **attr)
{
    struct xha_fence_param *param = &p->meta->param[p->meta->n];
    const char *name = attribute(attr, "name"), *old = attribute(attr, "obsoletes");

    if (p->meta->n == XHA_FENCE_META_PARAMS || strlen(name) >= sizeof param->name ||
        strlen(old) >= sizeof param->obsoletes) {
        stop(p);
        return;
    }
    strcpy(param->name, name);
    strcpy(param->obsoletes, old);
    param->required = strcmp(attribute(attr, "required"), "1") == 0;
    param->deprecated = strcmp(attribute(attr, "deprecated"), "1") == 0;
    p->param = param;
    p->meta->n++;
}

static void take_action(struct xha_fence_meta *meta, const char *name)
{
    meta->off |= strcmp(name, "off") == 0;
    meta->on |= strcmp(name, "on") == 0;
    meta->status |= strcmp(name, "status") == 0;
    meta->monitor |= strcmp(name, "monitor") == 0;
}

static void on_begin(void *user, const char *name, const char **attr)
{
    struct parse *p = user;

    if (p->depth++ == 0)
        p->agent = strcmp(name, "resource-agent") == 0;
    if (!p->agent || p->depth > DEPTH_MAX)
        stop(p);
    else if (strcmp(name, "parameter") == 0)
        begin_param(p, attr);
    else if (strcmp(name, "content") == 0 && p->param)
        p->param->has_default = *attribute(attr, "default") != '\0';
    else if (strcmp(name, "action") == 0)
        take_action(p->meta, attribute(attr, "name"));
}

static void on_end(void *user, const char *name)
{
    struct parse *p = user;

    p->depth--;
    if (strcmp(name, "parameter") == 0)
        p->param = NULL;
}

static void on_doctype(void *user, const char *name, const char *sysid, const char *pubid, int subset)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)subset;
    stop(user);
}

int xha_fence_meta_parse(const char *xml, size_t len, struct xha_fence_meta *meta_r)
{
    struct parse p = { .parser = XML_ParserCreate(NULL), .meta = meta_r };
    bool ok;

    memset(meta_r, 0, sizeof *meta_r);
    if (!p.parser)
        return -1;
    XML_SetUserData(p.parser, &p);
    XML_SetElementHandler(p.parser, on_begin, on_end);
    XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
    ok = len <= XHA_FENCE_META_MAX && XML_Parse(p.parser, xml, (int)len, 1) == XML_STATUS_OK && !p.bad;
    XML_ParserFree(p.parser);
    return ok ? 0 : -1;
}

const struct xha_fence_param *xha_fence_meta_find(const struct xha_fence_meta *meta, const char *name)
{
    for (size_t i = 0; i < meta->n; i++)
        if (strcmp(meta->param[i].name, name) == 0)
            return &meta->param[i];
    return NULL;
}
