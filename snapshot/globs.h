/* Lists of globs, as in HOLDFAST_EXCLUDE and HOLDFAST_DATABASES: colon-separated patterns for paths relative
 * to the data directory.
 *
 *   tmp           without a slash: a file or directory of that name at any depth
 *   storage/tmp   with one: from the top of the data directory
 *   *  ?  [a-z] [!a]   anything, one character, one of a set; none of them matches a '/'
 *   **            anything, slashes too; `**` and a slash at the beginning of a pattern or after another
 * slash also matches no directory at all
 *
 * A pattern that matches a directory covers everything below it. Names are bytes: `?` takes a whole UTF-8
 * character where there is one and a single byte elsewhere. Immutable once parsed; any thread. */
#ifndef SNAPSHOT_GLOBS_H
#define SNAPSHOT_GLOBS_H

#include "base/cleanup.h"
#include "base/err.h"

struct globs;

/* An empty text gives a list that matches nothing. ERR_CONFIG for a pattern that can't match anything: empty,
 * absolute, with an empty, "." or ".." component, or with a set that never ends. */
bool globs_parse(const char *text, struct globs **ret_globs, struct err *err) CHECKED;
void globs_free(struct globs *globs); /* NULL is fine */
DEFINE_CLEANUP(struct globs *, globs_free, globs_freep)

/* Whether the path, or a directory that it lies in, matches one of the patterns. Never takes more than
 * pattern length times path length squared steps, whatever the pattern. */
bool globs_match(const struct globs *globs, const char *path);

#endif
