/* A store in memory, for tests of everything above the drivers: sorted, atomic, never fails. Any thread may
 * use it. */
#ifndef TESTS_DOUBLE_STORE_MEM_H
#define TESTS_DOUBLE_STORE_MEM_H

#include "snapshot/store/store.h"

/* Freed with store_free(). */
struct store *store_mem_new(void);

/* How many objects there are below prefix. */
size_t store_mem_count(struct store *mem, const char *prefix);

#endif
