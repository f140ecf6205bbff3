/* The table of variables as text: for `holdfast help environment` and for README.md. */
#include "sidecar/config_table.h"

#include <string.h>

bool config_child_may_see(const struct config *config, const char *name, size_t name_size)
{
    static const char separators[] = CONFIG_NAME_SEPARATORS;
    const char *at = config->child_env;

    while (at && *at) {
        size_t size = strcspn(at, separators);
        if (size == name_size && size > 0 && strncmp(at, name, size) == 0)
            return true;
        at += size;
        at += strspn(at, separators);
    }
    return false;
}

static void add_initial(struct buf *text, const struct config_variable *variable, const char *quote)
{
    if (variable->initial && *variable->initial)
        buf_printf(text, "%s%s%s", quote, variable->initial, quote);
    else if (variable->fallbacks[0])
        buf_printf(text, "%s%s%s", quote, variable->fallbacks[0], quote);
}

void config_describe(struct buf *text)
{
    for (size_t at = 0; at < config_variables_count; at++) {
        const struct config_variable *variable = &config_variables[at];
        if (variable->kind == KIND_LATER)
            continue;
        buf_printf(text, "  " CONFIG_PREFIX "%s", variable->name);
        if ((variable->initial && *variable->initial) || variable->fallbacks[0]) {
            buf_add_text(text, " [");
            add_initial(text, variable, "");
            buf_add_text(text, "]");
        }
        buf_printf(text, "\n      %s\n", variable->help);
    }
}

void config_describe_markdown(struct buf *text)
{
    buf_add_text(text, "| variable | default | meaning |\n|---|---|---|\n");
    for (size_t at = 0; at < config_variables_count; at++) {
        const struct config_variable *variable = &config_variables[at];
        if (variable->kind == KIND_LATER)
            continue;
        buf_printf(text, "| `" CONFIG_PREFIX "%s` | ", variable->name);
        add_initial(text, variable, "`");
        buf_printf(text, " | %s |\n", variable->help);
    }
}
