/*
 * xlcfg.c - the little of an xl.cfg that the stories use, as libxl's JSON.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <string.h>

#define CFG_BYTES_MAX 65536

static void random_uuid(char *buf, size_t len)
{
    FILE *f = fopen("/proc/sys/kernel/random/uuid", "re"); /* its size is 0: not for xha_file_read() */

    if (!f || !fgets(buf, (int)len, f))
        sim_fail("random/uuid");
    fclose(f);
    buf[strcspn(buf, "\n")] = '\0';
}

/* Text without the blanks and quotes around it, in place. */
static char *bare(char *text)
{
    size_t n;

    text += strspn(text, " \t'\"");
    n = strlen(text);
    while (n > 0 && strchr(" \t'\"\r", text[n - 1]))
        text[--n] = '\0';
    return text;
}

/* ['PATH,FORMAT,VDEV,ACCESS', …] */
static void take_disks(json_t *disks, char *list)
{
    char *rest = NULL;

    for (char *one = strtok_r(list, "[]'\"", &rest); one; one = strtok_r(NULL, "[]'\"", &rest)) {
        char path[256], format[32], vdev[32], access[32];

        if (sscanf(one, "%255[^,],%31[^,],%31[^,],%31s", path, format, vdev, access) == 4)
            json_array_append_new(disks, json_pack("{s:s, s:s, s:i}", "pdev_path", path, "vdev", vdev,
                                                   "readwrite", access[0] == 'w' || access[1] == 'w'));
    }
}

/* One `key = value`; false: it is none. */
static bool take_line(char *line, json_t *config)
{
    json_t *c_info = json_object_get(config, "c_info"), *b_info = json_object_get(config, "b_info");
    char *equals = strchr(line, '='), *key, *value;

    if (!equals)
        return false;
    *equals = '\0';
    key = bare(line);
    value = bare(equals + 1);
    if (strcmp(key, "name") == 0 || strcmp(key, "uuid") == 0)
        json_object_set_new(c_info, key, json_string(value));
    else if (strcmp(key, "memory") == 0)
        json_object_set_new(b_info, "max_memkb", json_integer(1024 * strtoll(value, NULL, 10)));
    else if (strcmp(key, "vcpus") == 0)
        json_object_set_new(b_info, "max_vcpus", json_integer(strtoll(value, NULL, 10)));
    else if (strcmp(key, "disk") == 0)
        take_disks(json_object_get(config, "disks"), value);
    return true;
}

json_t *sim_xlcfg_parse(const char *path, char *err, size_t err_len)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char uuid[64], *next;
    json_t *config;
    int number = 0;
    size_t len;

    if (xha_file_read(path, CFG_BYTES_MAX, &text, &len) < 0) {
        snprintf(err, err_len, "%s", strerror(errno));
        return NULL;
    }
    random_uuid(uuid, sizeof uuid);
    config = json_pack("{s:{s:s, s:s}, s:{s:i, s:i}, s:[], s:[]}", "c_info", "type", "pvh", "uuid", uuid,
                       "b_info", "max_memkb", 131072, "max_vcpus", 1, "disks", "nics");
    for (char *line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (line[0] != '\0' && line[0] != '#' && !take_line(line, config)) {
            snprintf(err, err_len, "line %d: it is no assignment", number);
            json_decref(config);
            return NULL;
        }
    }
    return config;
}
