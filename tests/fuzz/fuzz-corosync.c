/*
 * corosync.conf as somebody may have written it: read, and changed when it was read. What is changed can be read
 * again, and says what it was changed to.
 */
#include <stdlib.h>
#include <string.h>

#include "xl-plugins/corosync_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xlha_corosync c, more, back;
    char why[XLHA_COROSYNC_WHY_MAX];
    char *text = malloc(size + 1), *changed;

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (!xlha_corosync_parse(text, &c, why)) {
        more = c;
        if (!xlha_corosync_add(&more, "fuzz=203.0.113.1", why)) {
            changed = xlha_corosync_with(text, &more);
            /* A nodelist that is not closed cannot be added to. */
            if (!xlha_corosync_parse(changed, &back, why) && back.n != c.n && back.n != c.n + 1)
                abort();
            free(changed);
        }
        changed = xlha_corosync_without(text, &c, c.host[0].nodeid);
        if (!xlha_corosync_parse(changed, &back, why) && back.n >= c.n)
            abort();
        free(changed);
    }
    free(text);
    return 0;
}
