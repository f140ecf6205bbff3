#include "sidecar/commands.h"

#include "sidecar/lifecycle.h"
#include "sidecar/versions.h"

#include <string.h>

int command_help(const struct invocation *invocation)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(256 * 1024);
    const char *topic = invocation->arguments->rest[0];
    const struct command *command = NULL;
    struct err err = {0};

    if (topic && invocation->arguments->rest[1]) {
        (void)err_set(&err, ERR_CONFIG, "help says one thing at a time: `holdfast help %.40s`, for example",
                      topic);
        return command_failed(&err);
    }
    if (invocation->arguments->markdown) {
        config_describe_markdown(&text);
    } else if (!topic) {
        commands_describe(&text);
    } else if (strcmp(topic, "environment") == 0) {
        buf_add_text(&text, "Variables, with their defaults in brackets:\n\n");
        config_describe(&text);
    } else if (command_find(topic, &command, &err)) {
        arguments_describe(command, &text);
    } else {
        return command_failed(&err);
    }
    return command_print(&text);
}

int command_version(const struct invocation *invocation)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(65536);

    if (invocation->arguments->json)
        versions_json(&text);
    else
        versions_text(&text);
    return command_print(&text);
}
