/* The commands. Each executes in the main thread, prints data to standard output and what happens to the log,
 * and returns the exit code of README.md. Signals are blocked when they begin. */
#ifndef SIDECAR_COMMANDS_H
#define SIDECAR_COMMANDS_H

#include "sidecar/arguments.h"
#include "sidecar/config.h"

struct invocation {
    const struct config *config; /* all defaults for NEEDS_NOTHING */
    const struct config_report *report;
    const struct arguments *arguments;
    char *const *environment;
};

/* The command called name; ERR_CONFIG names the nearest. */
bool command_find(const char *name, const struct command **ret_command, struct err *err) CHECKED;

/* Everything `holdfast help` says. */
void commands_describe(struct buf *text);

int command_restore(const struct invocation *invocation);
/* The part of command_restore() that --follow asks for. */
int command_follow(const struct invocation *invocation);
int command_list(const struct invocation *invocation);
int command_verify(const struct invocation *invocation);
int command_prune(const struct invocation *invocation);
int command_status(const struct invocation *invocation);
int command_snapshot(const struct invocation *invocation);
int command_doctor(const struct invocation *invocation);
int command_version(const struct invocation *invocation);
int command_help(const struct invocation *invocation);

/* Writes the text to standard output. The exit code: EXIT_OK, or EXIT_NOT_SHIPPED if nobody could take it. */
int command_print(struct buf *text);

/* Logs the error and gives its exit code. */
int command_failed(const struct err *err);

/* The same for work that a signal was sent to (0: none was): what it ended with then is no error. */
int command_ended(const struct err *err, int signal);

#endif
