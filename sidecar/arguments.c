#include "sidecar/arguments.h"

#include "sidecar/config_value.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A row for each option there is; a command names those that it takes. */
static const struct option {
    const char *name;
    const char *value; /* what its value is called; NULL: a switch */
    size_t field;
    const char *help;
    bool is_required; /* by each command that takes it */
} options[] = {
    {"to", "DIR", offsetof(struct arguments, to),
     "where to restore to: a directory that is empty or not there yet", true},
    {"at", "TIME|RECORD", offsetof(struct arguments, at),
     "the last point at or before that time (2026-11-21T10:00:00Z), or that record; the newest if not given",
     false},
    {"follow", NULL, offsetof(struct arguments, follow),
     "keep the copy up to date with the newest record; goes on in a directory that it has left", false},
    {"dry-run", NULL, offsetof(struct arguments, dry_run), "only say what would be deleted", false},
    {"deep", NULL, offsetof(struct arguments, deep),
     "also restore the newest and the oldest point below $TMPDIR (or /tmp) and check every database", false},
    {"json", NULL, offsetof(struct arguments, json), "print one JSON object", false},
    {"markdown", NULL, offsetof(struct arguments, markdown), "print the table of README.md", false},
    {"help", NULL, offsetof(struct arguments, help), "print this", false},
};

enum { OPTIONS_COUNT = sizeof(options) / sizeof(options[0]) };

/* Known, and coming: said in so many words rather than called unknown. */
static const char later_options[] = " pin ";

static bool is_listed(const char *list, const char *name, size_t size)
{
    const char *at = list;

    while (at && *at) {
        size_t length = strcspn(at, " ");
        if (length == size && strncmp(at, name, size) == 0)
            return true;
        at += length;
        at += strspn(at, " ");
    }
    return false;
}

static bool takes(const struct command *command, const struct option *option)
{
    return strcmp(option->name, "help") == 0 ||
           is_listed(command->options, option->name, strlen(option->name));
}

static const struct option *find_option(const struct command *command, const char *name, size_t size)
{
    for (size_t at = 0; at < OPTIONS_COUNT; at++)
        if (strlen(options[at].name) == size && strncmp(options[at].name, name, size) == 0 &&
            takes(command, &options[at]))
            return &options[at];
    return NULL;
}

struct candidates {
    const struct command *command;
};

static const char *next_option(void *context, size_t index)
{
    const struct candidates *candidates = context;

    for (size_t at = 0; at < OPTIONS_COUNT; at++)
        if (takes(candidates->command, &options[at]) && index-- == 0)
            return options[at].name;
    return NULL;
}

static bool refuse_option(const struct command *command, const char *name, size_t size, struct err *err)
{
    struct candidates candidates = {command};
    char text[64];
    const char *nearest;

    (void)snprintf(text, sizeof(text), "%.*s", (int)(size < sizeof(text) ? size : sizeof(text) - 1), name);
    if (is_listed(later_options, name, size))
        return err_set(err, ERR_CONFIG, "--%s comes with a later release", text);
    nearest = value_nearest(text, next_option, &candidates);
    if (nearest)
        return err_set(err, ERR_CONFIG, "%s has no option --%s: did you mean --%s?", command->name, text,
                       nearest);
    return err_set(err, ERR_CONFIG, "%s has no option --%s: `holdfast %s --help` lists them", command->name,
                   text, command->name);
}

/* Takes the option in words[0], and its value from there or from words[1]; *ret_words is how many it took. */
static bool take_option(const struct command *command, char *const *words, struct arguments *arguments,
                        size_t *ret_words, struct err *err)
{
    const char *name = words[0] + 2, *value = strchr(words[0], '=');
    size_t size = strcspn(name, "=");
    const struct option *option = find_option(command, name, size);

    if (strcmp(words[0], "-h") == 0)
        option = find_option(command, "help", 4);
    else if (words[0][1] != '-')
        return err_set(err, ERR_CONFIG,
                       "options begin with two dashes, %.40s doesn't: `holdfast %s --help` lists them",
                       words[0], command->name);
    if (!option)
        return refuse_option(command, name, size, err);
    *ret_words = 1;
    if (!option->value) {
        if (value)
            return err_set(err, ERR_CONFIG, "--%s takes no value", option->name);
        *(bool *)(void *)((char *)arguments + option->field) = true;
        return true;
    }
    if (!value && words[1])
        *ret_words = 2;
    value = value ? value + 1 : words[1];
    if (!value || !*value)
        return err_set(err, ERR_CONFIG, "--%s wants a value: --%s %s", option->name, option->name,
                       option->value);
    *(const char **)(void *)((char *)arguments + option->field) = value;
    return true;
}

static bool asks_for_help(const char *word)
{
    return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

bool arguments_parse(const struct command *command, char *const *words, struct arguments *ret_arguments,
                     struct err *err)
{
    struct arguments arguments = {.to = NULL, .rest = words};

    if (!command->options && !asks_for_help(*words)) {
        *ret_arguments = arguments;
        return true;
    }
    while (*words && (*words)[0] == '-' && (*words)[1] && strcmp(*words, "--") != 0) {
        size_t taken = 0;
        if (!take_option(command, words, &arguments, &taken, err))
            return false;
        words += taken;
    }
    if (*words && strcmp(*words, "--") == 0)
        words++;
    if (*words && !command->operand && !arguments.help)
        return err_set(err, ERR_CONFIG, "%s takes no argument, but was given %.60s", command->name, *words);
    arguments.rest = words;
    *ret_arguments = arguments;
    return true;
}

/* `--name VALUE` between two texts. */
static void add_option(struct buf *text, const char *before, const struct option *option, const char *after)
{
    buf_printf(text, "%s--%s", before, option->name);
    if (option->value)
        buf_printf(text, " %s", option->value);
    buf_add_text(text, after);
}

void arguments_describe(const struct command *command, struct buf *text)
{
    buf_printf(text, "holdfast %s", command->name);
    for (size_t at = 0; at < OPTIONS_COUNT; at++)
        if (is_listed(command->options, options[at].name, strlen(options[at].name)))
            add_option(text, options[at].is_required ? " " : " [", &options[at],
                       options[at].is_required ? "" : "]");
    buf_printf(text, "%s%s\n\n  %s.\n", command->operand ? " " : "", command->operand ? command->operand : "",
               command->summary);
    if (*command->detail)
        buf_printf(text, "\n%s\n", command->detail);
    buf_add_text(text, "\noptions:\n");
    for (size_t at = 0; at < OPTIONS_COUNT; at++)
        if (takes(command, &options[at])) {
            add_option(text, "  ", &options[at], "\n");
            buf_printf(text, "      %s\n", options[at].help);
        }
}
