/* Reading the environment: each row of the table, then what only several variables together can tell, then
 * the names that nobody knows. Every fault is collected, so that one look at the log is enough to mend them
 * all; nothing here stops at the first. Values of secrets are never repeated, not even when they are wrong.
 */
#include "sidecar/config.h"

#include "base/buf.h"
#include "sidecar/config_table.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

struct loading {
    char *const *environment;
    struct config *config;
    struct config_report *report;
};

static void add_line(struct config_report *report, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void add_line(struct config_report *report, const char *format, va_list args)
{
    size_t count = report->faults + report->warnings;

    if (count < CONFIG_LINES_MAX)
        (void)vsnprintf(report->lines[count], sizeof(report->lines[count]), format, args);
    else
        (void)snprintf(report->lines[CONFIG_LINES_MAX - 1], sizeof(report->lines[0]),
                       "and %zu more like these", count + 2 - CONFIG_LINES_MAX);
}

void config_fault(struct config_report *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_line(report, format, args);
    va_end(args);
    report->faults++;
}

static void add_warning(struct config_report *report, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_warning(struct config_report *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_line(report, format, args);
    va_end(args);
    report->warnings++;
}

/* The value of prefix+name+suffix, or NULL. Empty is as good as unset: that is how container platforms unset
 * a variable. */
static const char *find_raw(char *const *environment, const char *prefix, const char *name,
                            const char *suffix)
{
    size_t prefix_size = strlen(prefix), name_size = strlen(name), suffix_size = strlen(suffix);

    for (; *environment; environment++) {
        const char *at = *environment;
        if (strncmp(at, prefix, prefix_size) == 0 && strncmp(at + prefix_size, name, name_size) == 0 &&
            strncmp(at + prefix_size + name_size, suffix, suffix_size) == 0 &&
            at[prefix_size + name_size + suffix_size] == '=')
            return at + prefix_size + name_size + suffix_size + 1;
    }
    return NULL;
}

static const char *find_value(char *const *environment, const char *prefix, const char *name,
                              const char *suffix)
{
    const char *value = find_raw(environment, prefix, name, suffix);

    return value && *value ? value : NULL;
}

static const char *find_fallback(char *const *environment, const struct config_variable *variable)
{
    for (size_t at = 0; at < sizeof(variable->fallbacks) / sizeof(variable->fallbacks[0]); at++) {
        const char *value =
            variable->fallbacks[at] ? find_value(environment, "", variable->fallbacks[at], "") : NULL;
        if (value)
            return value;
    }
    return NULL;
}

/* Puts text into the field of the row; false if it isn't of its kind. */
static bool put_value(const struct config_variable *variable, const char *text, struct config *config)
{
    void *field = (char *)config + variable->field;
    uint64_t amount = 0;

    switch (variable->kind) {
    case KIND_PATH:
        if (text[0] != '/')
            return false;
        *(const char **)field = text;
        return true;
    case KIND_GLOBS:
        if (!value_globs(text))
            return false;
        *(const char **)field = text;
        return true;
    case KIND_TEXT:
        *(const char **)field = text;
        return true;
    case KIND_DURATION:
    case KIND_SIZE:
        if (!(variable->kind == KIND_SIZE ? value_size : value_duration)(text, &amount) ||
            amount < variable->least)
            return false;
        *(uint64_t *)field = amount;
        return true;
    case KIND_ADDRESS:
        return address_parse(text, field);
    case KIND_SWITCH:
        return value_switch(text, field);
    case KIND_CHOICE:
        return value_choice(text, variable->choices, field);
    case KIND_SIGNAL:
        return value_signal(text, field);
    case KIND_POINT:
        return point_parse(text, field);
    case KIND_SECRET:
    case KIND_LATER:
        break;
    }
    return false;
}

static const char *expected_form(enum config_kind kind)
{
    static const char *const forms[] = {
        [KIND_TEXT] = "a text",
        [KIND_PATH] = "an absolute path",
        [KIND_DURATION] = "a duration: write 200ms, 1s, 2m, 24h or 7d",
        [KIND_SIZE] = "a size: write 512KiB, 64MiB or 1GiB",
        [KIND_ADDRESS] = "an address: write 0.0.0.0:3210, [::]:3210 or :3210 (no names, ports 1 to 65535)",
        [KIND_SWITCH] = "a switch: write 0 or 1",
        [KIND_SIGNAL] = "a signal that stops a process: write TERM, INT, QUIT, HUP or USR1",
        [KIND_POINT] = "a point: write a record's number (from 1 on) or a time like 2026-11-21T10:00:00Z",
        [KIND_GLOBS] = "a list of globs relative to the data directory: write for example tmp:cache/*.bin",
    };
    return forms[kind];
}

enum { CHOICES_TEXT_MAX = 256 };

/* "write a, b or c"; where it may be nothing, that is the first choice. */
static void fault_choice(struct config_report *report, const struct config_variable *variable,
                         const char *text)
{
    CLEANUP(buf_clear) struct buf words = BUF_INIT(CHOICES_TEXT_MAX);
    const char *at = variable->choices;
    bool may_be_nothing = *at == '|';

    for (at += may_be_nothing; *at;) {
        size_t size = strcspn(at, "|");
        bool is_last = at[size] == '\0', is_first = words.size == 0;
        buf_printf(&words, "%s%.*s",
                   is_first                     ? ""
                   : is_last && !may_be_nothing ? " or "
                                                : ", ",
                   (int)size, at);
        at += size + !is_last;
    }
    config_fault(report, CONFIG_PREFIX "%s=%.60s is unknown: write %s%s", variable->name, text,
                 buf_text(&words), may_be_nothing ? " or nothing" : "");
}

static bool is_too_short(const struct config_variable *variable, const char *text)
{
    uint64_t amount = 0;

    return variable->kind == KIND_DURATION && value_duration(text, &amount) && amount < variable->least;
}

static void read_variable(struct loading *loading, const struct config_variable *variable)
{
    const char *text = find_raw(loading->environment, CONFIG_PREFIX, variable->name, "");

    if (text && !*text && variable->kind != KIND_GLOBS)
        text = NULL;
    if (variable->kind == KIND_LATER) {
        if (text)
            config_fault(loading->report, CONFIG_PREFIX "%s is not supported by this release: remove it",
                         variable->name);
        return;
    }
    if (variable->initial) {
        bool readable = put_value(variable, variable->initial, loading->config);
        assert(readable);
    }
    if (!text)
        text = find_fallback(loading->environment, variable);
    if (!text || put_value(variable, text, loading->config))
        return;
    if (variable->kind == KIND_CHOICE)
        fault_choice(loading->report, variable, text);
    else if (is_too_short(variable, text))
        config_fault(loading->report, CONFIG_PREFIX "%s=%.60s is too short: write %llums or more",
                     variable->name, text, (unsigned long long)variable->least);
    else
        config_fault(loading->report, CONFIG_PREFIX "%s=%.60s is not %s", variable->name, text,
                     expected_form(variable->kind));
}

/* One of the three secrets, by value or by file. */
static void read_secret(struct loading *loading, const struct config_variable *variable, bool from_aws)
{
    struct store_secret *secret = (struct store_secret *)(void *)((char *)loading->config + variable->field);

    if (from_aws) {
        secret->value = find_fallback(loading->environment, variable);
        return;
    }
    secret->value = find_value(loading->environment, CONFIG_PREFIX, variable->name, "");
    secret->file = find_value(loading->environment, CONFIG_PREFIX, variable->name, "_FILE");
    if (secret->value && secret->file)
        config_fault(loading->report, CONFIG_PREFIX "%s and its _FILE are both set: keep one of them",
                     variable->name);
    else if (secret->file && access(secret->file, R_OK) != 0)
        config_fault(loading->report,
                     CONFIG_PREFIX
                     "%s_FILE names %.120s, which can't be read (%s): mount it or mend the path",
                     variable->name, secret->file, strerrordesc_np(errno));
}

/* Credentials are one thing in three variables: a key of ours with a token that was meant for another tool
 * would be refused by the store in a way that nobody understands. */
static void read_credentials(struct loading *loading)
{
    struct store_config *store = &loading->config->store;
    bool ours = false;

    for (size_t at = 0; at < config_variables_count; at++) {
        const struct config_variable *variable = &config_variables[at];
        ours = ours || (variable->kind == KIND_SECRET &&
                        (find_value(loading->environment, CONFIG_PREFIX, variable->name, "") ||
                         find_value(loading->environment, CONFIG_PREFIX, variable->name, "_FILE")));
    }
    for (size_t at = 0; at < config_variables_count; at++)
        if (config_variables[at].kind == KIND_SECRET)
            read_secret(loading, &config_variables[at], !ours);
    loading->config->used_aws_credentials = !ours && store->access_key_id.value;
}

static const char *next_variable(void *context, size_t index)
{
    (void)context;
    return index < config_variables_count ? config_variables[index].name : NULL;
}

static bool is_secret_file(const char *name, size_t size)
{
    const struct config_variable *variable = NULL;

    if (size > 5 && strncmp(name + size - 5, "_FILE", 5) == 0)
        variable = config_variable_find(name, size - 5);
    return variable && variable->kind == KIND_SECRET;
}

static void name_unknown(struct loading *loading)
{
    size_t prefix_size = strlen(CONFIG_PREFIX);

    for (char *const *at = loading->environment; *at; at++) {
        const char *name = *at + prefix_size, *nearest;
        char text[64];
        size_t size;
        if (strncmp(*at, CONFIG_PREFIX, prefix_size) != 0)
            continue;
        size = strcspn(name, "=");
        if (config_variable_find(name, size) || is_secret_file(name, size))
            continue;
        (void)snprintf(text, sizeof(text), "%.*s", (int)size, name);
        nearest = value_nearest(text, next_variable, NULL);
        if (nearest)
            add_warning(loading->report, CONFIG_PREFIX "%s is not known: did you mean " CONFIG_PREFIX "%s?",
                        text, nearest);
        else
            add_warning(loading->report,
                        CONFIG_PREFIX "%s is not known: `holdfast help environment` lists what is", text);
    }
}

bool config_load(char *const *environment, enum config_scope scope, struct config *ret_config,
                 struct config_report *ret_report)
{
    struct loading loading = {environment, ret_config, ret_report};

    *ret_config = (struct config){0};
    *ret_report = (struct config_report){.faults = 0};
    for (size_t at = 0; at < config_variables_count; at++)
        if (config_variables[at].kind != KIND_SECRET)
            read_variable(&loading, &config_variables[at]);
    read_credentials(&loading);
    config_check(ret_config, scope, ret_report);
    name_unknown(&loading);
    return ret_report->faults == 0;
}

void config_clear(struct config *config)
{
    store_config_clear(&config->store);
}

size_t config_report_lines(const struct config_report *report)
{
    size_t count = report->faults + report->warnings;

    return count < CONFIG_LINES_MAX ? count : CONFIG_LINES_MAX;
}
