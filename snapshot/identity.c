#include "snapshot/identity.h"

#include "base/clock.h"
#include "snapshot/record.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void identity_write(const struct id *lineage, uint64_t created_ns, struct buf *json)
{
    char digits[2 * ID_SIZE + 1];
    char created[CLOCK_TEXT_SIZE];

    id_format(lineage, digits);
    clock_format(created_ns, created);
    buf_printf(json, "{\"format\":%d,\"lineage\":\"%s\",\"created\":\"%s\"}\n", FORMAT_VERSION, digits,
               created);
}

/* Behind `"name":` in a JSON object of our own making, or NULL. */
static const char *value_of(const char *json, const char *name)
{
    const char *at = strstr(json, name);

    if (!at)
        return NULL;
    at += strlen(name);
    at += strspn(at, " \t\r\n");
    return *at == ':' ? at + 1 + strspn(at + 1, " \t\r\n") : NULL;
}

/* Decimal digits and no more than fit. */
static bool read_version(const char *text, unsigned long *ret_version)
{
    if (!text || !isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *ret_version = strtoul(text, NULL, 10);
    return errno == 0 && *ret_version > 0;
}

static bool read_lineage(const char *text, struct id *ret_lineage)
{
    char digits[2 * ID_SIZE + 1] = "";

    if (!text || *text != '"' || strspn(text + 1, "0123456789abcdef") != sizeof(digits) - 1 ||
        text[sizeof(digits)] != '"')
        return false;
    memcpy(digits, text + 1, sizeof(digits) - 1);
    return id_parse(digits, ret_lineage);
}

bool identity_parse(struct buf *json, struct id *ret_lineage, struct err *err)
{
    const char *text = buf_text(json);
    unsigned long version = 0;

    if (!read_version(value_of(text, "\"format\""), &version))
        return err_set(err, ERR_CORRUPT, IDENTITY_KEY ": it is damaged: it names no format");
    if (version > FORMAT_VERSION)
        return err_set(err, ERR_CORRUPT,
                       IDENTITY_KEY ": it says format %lu, this release knows %d; use a newer holdfast",
                       version, FORMAT_VERSION);
    if (!read_lineage(value_of(text, "\"lineage\""), ret_lineage))
        return err_set(err, ERR_CORRUPT, IDENTITY_KEY ": it is damaged: it names no lineage");
    return true;
}

bool identity_read(struct store *store, struct id *ret_lineage, struct err *err)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);

    return store_get(store, IDENTITY_KEY, &json, err) && identity_parse(&json, ret_lineage, err);
}
