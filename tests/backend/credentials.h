/* What read_credentials.sh does before Convex starts (facts/convex.md 1.1). */
#ifndef TESTS_BACKEND_CREDENTIALS_H
#define TESTS_BACKEND_CREDENTIALS_H

#include "base/err.h"

/* Takes name and secret from INSTANCE_NAME and INSTANCE_SECRET, else from `data`/credentials/, else makes
 * them up, and writes both files again, mode 0600. ERR_CONFIG: a file is there and empty. */
bool credentials_refresh(const char *data, struct err *err) CHECKED;

#endif
