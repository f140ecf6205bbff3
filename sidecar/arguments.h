/* The command line: which command, with which options. */
#ifndef SIDECAR_ARGUMENTS_H
#define SIDECAR_ARGUMENTS_H

#include "base/buf.h"

/* What the options of all commands can say. Strings point into the command line. */
struct arguments {
    const char *to;
    const char *at;
    bool json;
    bool follow;
    bool dry_run;
    bool deep;
    bool markdown;
    bool help;
    char *const *rest; /* what follows the options, NULL-terminated */
};

/* What of the configuration has to be right. NEEDS_REPORT: nothing, the command shows the faults itself. */
enum command_needs { NEEDS_NOTHING, NEEDS_REPORT, NEEDS_CONFIG, NEEDS_STORE };

struct invocation;

/* One command as the parser and `help` see it. */
struct command {
    const char *name;
    const char *summary; /* for the list of commands */
    /* Names, separated by blanks, of the options that it takes; --help always. NULL: nobody knows yet, and it
     * takes anything. */
    const char *options;
    const char *operand; /* what may follow: "CMD…"; NULL: nothing */
    const char *detail;  /* for its own help; may be empty */
    enum command_needs needs;
    /* Does it and gives the exit code; NULL: `run`, which is main()'s. */
    int (*execute)(const struct invocation *invocation);
};

/* Reads the words after the command's name. ERR_CONFIG: one sentence that names the word and the nearest one
 * known. */
bool arguments_parse(const struct command *command, char *const *words, struct arguments *ret_arguments,
                     struct err *err) CHECKED;

/* How the command is used, with its options. */
void arguments_describe(const struct command *command, struct buf *text);

#endif
