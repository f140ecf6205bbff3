/* A stand-in for the Convex backend: the same database, files, process and HTTP behaviour where holdfast can
 * tell the difference, and switches to make it misbehave. Beside it the tools that load, check and fill it.
 */
#include "tests/backend/commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int count, char **arguments);
    const char *help;
} commands[] = {
    {"serve", serve_command, serve_help}, /* also when no command is named */
    {"load", load_command, load_help},
    {"check", check_command, check_help},
    {"generate", generate_command, generate_help},
    {"commit-load", commit_load_command, commit_load_help},
};

int main(int count, char **arguments)
{
    const struct command *command = &commands[0];
    const char *slash = strrchr(arguments[0], '/');
    bool is_convex = strcmp(slash ? slash + 1 : arguments[0], "convex-local-backend") == 0;

    count--;
    arguments++;
    if (is_convex)
        return convex_command(count, arguments);
    for (size_t at = 0; count > 0 && at < sizeof(commands) / sizeof(commands[0]); at++) {
        if (strcmp(arguments[0], commands[at].name) != 0)
            continue;
        command = &commands[at];
        count--;
        arguments++;
        break;
    }
    if (count > 0 && strcmp(arguments[0], "--help") == 0)
        return fputs(command->help, stdout) < 0;
    return command->run(count, arguments);
}
