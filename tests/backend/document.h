/* Documents as applications write them: JSON of about 643 bytes on average (facts/wal.md, Workload), with
 * varied English text, identifiers and times in it. */
#ifndef TESTS_BACKEND_DOCUMENT_H
#define TESTS_BACKEND_DOCUMENT_H

#include "tests/backend/random.h"

#include <stdbool.h>

/* A message with this value in it; allocated. */
char *document_message(struct random *random, const struct ident *id, const struct ident *channel, int64_t ts,
                       const char *value);
/* A channel after its revision-th change; allocated. */
char *document_channel(struct random *random, const struct ident *id, int64_t ts, unsigned revision);
/* What `_file_storage` says about a blob; allocated. */
char *document_file(const struct ident *id, int64_t ts, const char *file, const char *sha256, uint64_t size);

/* Whether a value can be kept: printable ASCII, tabs and line ends only, so that it comes back byte for byte.
 */
bool value_is_plain(const char *value, size_t size);

#endif
