/* The Convex shim: how the backend leaves ports 3210 and 3211 to holdfast without an edit of its image.
 *
 * Convex's run_backend.sh names its helpers relative to the working directory and the ports as options, which
 * can be given only once (facts/convex.md 3.1). So it is run in a folder of ours, in which two names are
 * links to holdfast:
 *
 *   run_backend.sh          enters that folder and executes the script beside HOLDFAST_CONVEX_BINARY
 *   convex-local-backend    what the script then executes: puts the ports of HOLDFAST_UPSTREAM in place of
 *                           the script's, moves TMPDIR out of what is shipped, removes what must not reach
 *                           the backend and executes HOLDFAST_CONVEX_BINARY
 *
 * The process stays the same one throughout, so signals meet the backend. Main thread only. */
#ifndef SIDECAR_SHIM_H
#define SIDECAR_SHIM_H

#include "sidecar/config.h"

/* Whether argv[0] is one of the two names, with or without a path. */
bool shim_is_called(const char *word);

/* Whether the program at path is this one, hence the shim. */
bool shim_is_program(const char *path);

/* What child_environment() gives, and the variables that the shim reads. Same ownership. */
char **shim_environment(char *const *environment, const struct config *config);

/* The texts of the options that the shim gives. */
struct shim_options {
    char port[6];
    char site_port[6];
    char interface[INET6_ADDRSTRLEN];
};

/* The port next to HOLDFAST_UPSTREAM's is for the backend's own site proxy, which nobody asks any more.
 * ERR_CONFIG: Convex listens on IPv4 only, and upstream is IPv6. */
bool shim_choose_options(const struct address *upstream, struct shim_options *ret_options,
                         struct err *err) CHECKED;

/* argv for the backend: `words` without the options for ports and interface, in any of their spellings, and
 * with those of `options`. The array is the caller's to free, the strings stay those of the arguments. */
char **shim_arguments(char *const *words, const struct shim_options *options);

/* The folder for temporary files. `current`, the TMPDIR there is, stays if it lies outside the data directory
 * or is excluded from it; else, also for NULL and empty, it is `tmp` in there. ERR_CONFIG if that is not
 * excluded either: every scratch file would be shipped. The caller frees *ret_path. */
bool shim_choose_temporary(const struct config *config, const char *current, char **ret_path,
                           struct err *err) CHECKED;

/* Executes what the name in words[0] stands for. Returns only if it couldn't, with the exit code, and has
 * logged why. */
int shim_execute(char *const *words, char *const *environment);

#endif
