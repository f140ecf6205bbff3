/* A stand-in for the Convex backend: the same database, files, process and HTTP behaviour where holdfast can
 * tell the difference, and switches to make it misbehave. Beside it the tools that load, check and fill it.
 */
#include "tests/backend/commands.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(int count, char **arguments);
} commands[] = {
    {"serve", serve_command},
    {"load", load_command},
    {"check", check_command},
    {"generate", generate_command},
    {"commit-load", commit_load_command},
};

int main(int count, char **arguments)
{
    for (size_t at = 0; count > 1 && at < sizeof(commands) / sizeof(commands[0]); at++)
        if (strcmp(arguments[1], commands[at].name) == 0)
            return commands[at].run(count - 2, arguments + 2);
    return serve_command(count - 1, arguments + 1);
}
