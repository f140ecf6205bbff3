#include "tests/backend/flags.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool take_number(const char **text, uint64_t *ret_number)
{
    unsigned long long number;
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    number = strtoull(*text, &end, 10);
    if (errno)
        return false;
    *text = end;
    *ret_number = number;
    return true;
}

bool parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number;

    if (!take_number(&text, &number) || *text)
        return false;
    *ret_number = number;
    return true;
}

static bool parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"", 0}};
    uint64_t count;

    if (!take_number(&text, &count))
        return false;
    for (size_t at = 0; at < sizeof(units) / sizeof(units[0]); at++) {
        if (strcmp(text, units[at].name) != 0)
            continue;
        *ret_bytes = count << units[at].shift;
        return count <= UINT64_MAX >> units[at].shift;
    }
    return false;
}

static bool flag_store(struct flag *flag, const char *value, struct err *err)
{
    struct flag_list *list = flag->target;

    if (flag->seen && flag->kind != FLAG_LIST)
        return err_set(err, ERR_CONFIG, "the argument '--%s' cannot be used multiple times", flag->name);
    flag->seen = true;
    switch (flag->kind) {
    case FLAG_TEXT:
        *(const char **)flag->target = value;
        return true;
    case FLAG_NUMBER:
        if (!parse_number(value, flag->target))
            return err_set(err, ERR_CONFIG, "--%s %s is not a number", flag->name, value);
        return true;
    case FLAG_SIZE:
        if (!parse_size(value, flag->target))
            return err_set(err, ERR_CONFIG, "--%s %s is not a size such as 64MiB", flag->name, value);
        return true;
    case FLAG_SWITCH:
        *(bool *)flag->target = true;
        return true;
    case FLAG_LIST:
        if (list->count == FLAG_LIST_MAX)
            return err_set(err, ERR_CONFIG, "too many --%s", flag->name);
        list->values[list->count++] = value;
        return true;
    }
    return err_set(err, ERR_CONFIG, "--%s is of no known kind", flag->name);
}

static struct flag *flag_find(struct flag *flags, size_t flag_count, const char *name, size_t name_size)
{
    for (size_t at = 0; at < flag_count; at++)
        if (strlen(flags[at].name) == name_size && memcmp(flags[at].name, name, name_size) == 0)
            return &flags[at];
    return NULL;
}

static bool flags_complete(const struct flag *flags, size_t flag_count, struct err *err)
{
    for (size_t at = 0; at < flag_count; at++)
        if (flags[at].required && !flags[at].seen)
            return err_set(err, ERR_CONFIG, "--%s is missing", flags[at].name);
    return true;
}

bool flags_parse(struct flag *flags, size_t flag_count, int count, char **arguments, struct err *err)
{
    assert(flag_count > 0);
    for (int at = 0; at < count; at++) {
        const char *argument = arguments[at], *value;
        struct flag *flag;

        if (strncmp(argument, "--", 2) != 0)
            return err_set(err, ERR_CONFIG, "%s is not a flag", argument);
        value = strchr(argument, '=');
        flag = flag_find(flags, flag_count, argument + 2,
                         value ? (size_t)(value - argument) - 2 : strlen(argument) - 2);
        if (!flag)
            return err_set(err, ERR_CONFIG, "%s is not known", argument);
        if (value)
            value++;
        else if (flag->kind != FLAG_SWITCH)
            value = ++at < count ? arguments[at] : NULL;
        if (!value && flag->kind != FLAG_SWITCH)
            return err_set(err, ERR_CONFIG, "--%s needs a value", flag->name);
        if (!flag_store(flag, value, err))
            return false;
    }
    return flags_complete(flags, flag_count, err);
}
