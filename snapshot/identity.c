#include "snapshot/identity.h"

#include "base/clock.h"
#include "snapshot/record.h"

#include <stdio.h>
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

bool identity_parse(struct buf *json, struct id *ret_lineage, struct err *err)
{
    const char *text = buf_text(json);
    const char *format = strstr(text, "\"format\"");
    const char *lineage = strstr(text, "\"lineage\"");
    char digits[2 * ID_SIZE + 1] = "";
    unsigned version = 0;

    if (!format || sscanf(format, "\"format\" : %u", &version) != 1 || version == 0)
        return err_set(err, ERR_CORRUPT, IDENTITY_KEY " is damaged: it names no format");
    if (version > FORMAT_VERSION)
        return err_set(err, ERR_CORRUPT,
                       IDENTITY_KEY " says format %u, this release knows %d; use a newer holdfast", version,
                       FORMAT_VERSION);
    if (!lineage || sscanf(lineage, "\"lineage\" : \"%32[0-9a-f]", digits) != 1 ||
        !id_parse(digits, ret_lineage))
        return err_set(err, ERR_CORRUPT, IDENTITY_KEY " is damaged: it names no lineage");
    return true;
}

bool identity_read(struct store *store, struct id *ret_lineage, struct err *err)
{
    CLEANUP(buf_clearp) struct buf json = BUF_INIT(IDENTITY_SIZE_MAX);

    return store_get(store, IDENTITY_KEY, &json, err) && identity_parse(&json, ret_lineage, err);
}
