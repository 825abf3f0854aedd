/*
 * tracked.c - see tracked.h. A sorted array: thousands of look-ups a second, a change now and then.
 */
#include "xhad/xen/tracked.h"

#include <stdlib.h>
#include <string.h>

/* Where the UUID is, or where it belongs. */
static size_t place(const struct xha_tracked_set *set, const struct xha_uuid *uuid, bool *there_r)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = memcmp(set->v[mid].uuid.b, uuid->b, sizeof(uuid->b));

        if (c == 0) {
            *there_r = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *there_r = false;
    return low;
}

int xha_tracked_put(struct xha_tracked_set *set, const struct xha_uuid *uuid, const char *key)
{
    bool there;
    size_t i = place(set, uuid, &there), len = strlen(key);

    if (len >= XHA_OBS_KEY_MAX)
        return -1;
    if (!there) {
        if (set->n == set->room) {
            size_t room = set->room ? set->room * 2 : 64;
            struct xha_tracked *v = realloc(set->v, room * sizeof(*v));

            if (!v)
                return -1;
            set->v = v;
            set->room = room;
        }
        memmove(&set->v[i + 1], &set->v[i], (set->n - i) * sizeof(*set->v));
        set->n++;
        set->v[i].uuid = *uuid;
    }
    memcpy(set->v[i].key, key, len + 1);
    return 0;
}

void xha_tracked_drop(struct xha_tracked_set *set, const struct xha_uuid *uuid)
{
    bool there;
    size_t i = place(set, uuid, &there);

    if (!there)
        return;
    set->n--;
    memmove(&set->v[i], &set->v[i + 1], (set->n - i) * sizeof(*set->v));
}

const struct xha_tracked *xha_tracked_find(const struct xha_tracked_set *set, const struct xha_uuid *uuid)
{
    bool there;
    size_t i = place(set, uuid, &there);

    return there ? &set->v[i] : NULL;
}

void xha_tracked_free(struct xha_tracked_set *set)
{
    free(set->v);
    *set = (struct xha_tracked_set){ 0 };
}
