/* What Convex does between opening its database and listening (facts/convex.md 2.5). */
#ifndef TESTS_BACKEND_FIRST_BOOT_H
#define TESTS_BACKEND_FIRST_BOOT_H

#include "tests/backend/persistence.h"

/* On a fresh database: several transactions, so that a kill between them leaves a file that never boots
 * again. On any other: checks that they all happened. Errors have Convex's words: `missing _tables.by_id
 * global`, `cannot find table "_index"`. */
bool database_load(struct persistence *persistence, struct err *err) CHECKED;

#endif
