/*
 * summary.c - see summary.h. libxl leaves out of its JSON whatever has its default value.
 */
#include "xhad/xen/summary.h"
#include "xhad/base/uuid.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

/* Xen's own prefix, and 24 bits made from UUID and index with the topmost of them left clear, as xl does. */
static void make_mac(const struct xha_uuid *uuid, size_t index, char mac[18])
{
    XXH64_hash_t h = XXH3_64bits_withSeed(uuid->b, sizeof(uuid->b), index);

    snprintf(mac, 18, "00:16:3e:%02x:%02x:%02x", (unsigned)(h & 0x7f), (unsigned)(h >> 8 & 0xff),
             (unsigned)(h >> 16 & 0xff));
}

int xha_summary_pin(json_t *config, const struct xha_uuid *uuid, char *err, size_t err_len)
{
    json_t *c_info = json_object_get(config, "c_info"), *nic;
    char uuid_text[XHA_UUID_TEXT], mac[18];
    struct xha_uuid own;
    size_t i;

    if (uuid)
        json_object_set_new(c_info, "uuid", json_string(xha_uuid_format(uuid, uuid_text)));
    if (!xha_uuid_parse(text(c_info, "uuid"), &own) || xha_uuid_is_nil(&own)) {
        snprintf(err, err_len, "the configuration has no UUID");
        return -1;
    }
    json_array_foreach(json_object_get(config, "nics"), i, nic)
    {
        const char *is = text(nic, "mac");

        if (is[0] != '\0' && strcmp(is, "00:00:00:00:00:00") != 0)
            continue;
        make_mac(&own, i, mac);
        json_object_set_new(nic, "mac", json_string(mac));
    }
    return 0;
}

bool xha_summary_disk_rw(const json_t *disk)
{
    return json_integer_value(json_object_get(disk, "readwrite")) != 0 &&
           json_integer_value(json_object_get(disk, "is_cdrom")) == 0;
}

static json_t *summarize_disks(const json_t *disks)
{
    json_t *list = json_array(), *disk;
    size_t i;

    json_array_foreach(disks, i, disk)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "path", text(disk, "pdev_path"), "vdev",
                                              text(disk, "vdev"), "rw", xha_summary_disk_rw(disk)));
    return list;
}

json_t *xha_summary(json_t *config, char *err, size_t err_len)
{
    const json_t *c_info = json_object_get(config, "c_info"), *b_info = json_object_get(config, "b_info");
    const char *name = text(c_info, "name"), *type = text(c_info, "type");
    json_int_t memory, vcpus = json_integer_value(json_object_get(b_info, "max_vcpus"));
    json_t *summary;

    memory = json_integer_value(json_object_get(b_info, "target_memkb"));
    if (memory <= 0)
        memory = json_integer_value(json_object_get(b_info, "max_memkb"));
    if (name[0] == '\0' || memory <= 0) {
        snprintf(err, err_len, "the configuration has no %s", name[0] == '\0' ? "name" : "memory size");
        return NULL;
    }
    if (strlen(name) >= XHA_NAME_MAX) {
        snprintf(err, err_len, "the domain's name has more than %d bytes", XHA_NAME_MAX - 1);
        return NULL;
    }
    summary =
        json_pack("{s:O, s:s, s:s, s:I, s:s, s:I, s:o}", "config_json", config, "name", name, "uuid",
                  text(c_info, "uuid"), "memory_kib", memory, "type", type[0] != '\0' ? type : "pv", "vcpus",
                  vcpus > 0 ? vcpus : 1, "disks", summarize_disks(json_object_get(config, "disks")));
    if (!summary)
        snprintf(err, err_len, "out of memory");
    return summary;
}
