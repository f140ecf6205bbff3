/* list, restore, verify: reading a store that somebody else may own at this moment. All three open it the
 * same way, with the retry that `run` gives its own requests at start, and can be interrupted. */
#ifndef SIDECAR_COMMAND_READ_H
#define SIDECAR_COMMAND_READ_H

#include "sidecar/commands.h"
#include "sidecar/progress.h"
#include "snapshot/reader.h"

enum { READING_OUTPUT_MAX = 256 << 20 };

/* What one of the three works with. */
struct reading {
    const struct invocation *invocation;
    struct store *store;
    atomic_bool canceled;
    struct progress progress;
    struct reader_result result;
    struct buf output;
    size_t entries; /* in output so far */
};

/* Opens the store, does the work (context: the reading) in a thread of its own, and gives the exit code; what
 * was collected is printed even when it failed. verb: "verifying". */
int reading_execute(struct reading *reading, bool (*work)(void *context, struct err *err), const char *verb);

/* For struct reader_progress; context: the reading. */
void reading_report(void *context, uint64_t bytes_done, uint64_t bytes_total);

/* Adds the result as a JSON object to the output, but for the brace that closes it. */
void reading_add_result(struct reading *reading, const struct reader_result *result);

/* Adds the result as a line for a person to the output: "verified up to record 7 of …"; not with --json. */
void reading_tell(struct reading *reading, const struct reader_result *result, const char *verb);

#endif
