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

static bool parse_rate(const char *text, uint64_t *ret_rate)
{
    uint64_t rate = 0;

    if (strcmp(text, "max") != 0 && (!parse_number(text, &rate) || rate == 0))
        return false;
    *ret_rate = rate;
    return true;
}

static bool flag_store(struct flag *flag, const char *value, struct err *err)
{
    struct flag_list *list = flag->target;

    if (flag->seen && flag->kind != FLAG_LIST)
        return err_set(err, ERR_CONFIG, "the argument '--%s' cannot be used multiple times", flag->name);
    flag->seen = true;
    if (!value) {
        assert(flag->kind == FLAG_SWITCH);
        *(bool *)flag->target = true;
        return true;
    }
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
    case FLAG_RATE:
        if (!parse_rate(value, flag->target))
            return err_set(err, ERR_CONFIG, "--%s %s is neither a number above 0 nor max", flag->name, value);
        return true;
    case FLAG_SWITCH:
        return err_set(err, ERR_CONFIG, "--%s takes no value", flag->name);
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

/* The flag that argument names, and what follows its equals sign, or NULL. */
static struct flag *flag_of_argument(struct flag *flags, size_t flag_count, const char *argument,
                                     const char **ret_value)
{
    const char *name = argument + 2, *equals = strchr(argument, '=');

    if (strncmp(argument, "--", 2) != 0)
        return NULL;
    *ret_value = equals ? equals + 1 : NULL;
    return flag_find(flags, flag_count, name, equals ? (size_t)(equals - name) : strlen(name));
}

bool flags_parse(struct flag *flags, size_t flag_count, int count, char **arguments, struct err *err)
{
    assert(flag_count > 0);
    for (int at = 0; at < count; at++) {
        const char *value = NULL;
        struct flag *flag = flag_of_argument(flags, flag_count, arguments[at], &value);

        if (!flag)
            return err_set(err, ERR_CONFIG, "%s is not known", arguments[at]);
        if (!value && flag->kind != FLAG_SWITCH) {
            if (++at == count)
                return err_set(err, ERR_CONFIG, "--%s needs a value", flag->name);
            value = arguments[at];
        }
        if (!flag_store(flag, value, err))
            return false;
    }
    return flags_complete(flags, flag_count, err);
}
