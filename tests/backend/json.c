#include "tests/backend/json.h"

#include "tests/backend/flags.h"

#include <stdio.h>
#include <string.h>

static const char *find_member(const char *json, const char *name)
{
    char quoted[64];
    int size = snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    const char *found = strstr(json, quoted);

    return found ? found + size : NULL;
}

bool json_number(const char *json, const char *name, uint64_t *ret_number)
{
    const char *value = find_member(json, name);

    return value && take_number(&value, ret_number);
}

bool json_text(const char *json, const char *name, char *text, size_t size)
{
    const char *value = find_member(json, name);
    size_t length;

    if (!value || *value != '"')
        return false;
    length = strcspn(value + 1, "\"\\");
    if (value[1 + length] != '"' || length >= size)
        return false;
    memcpy(text, value + 1, length);
    text[length] = '\0';
    return true;
}

bool json_is_true(const char *json, const char *name)
{
    const char *value = find_member(json, name);

    return value && strncmp(value, "true", 4) == 0;
}
