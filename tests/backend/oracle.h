/* The file that remembers what was acknowledged, outside of what is being protected. A line is
 * `ID SHA256 UNIX_MS`, on the disk before the load goes on. */
#ifndef TESTS_BACKEND_ORACLE_H
#define TESTS_BACKEND_ORACLE_H

#include "base/err.h"
#include "snapshot/digest.h"

#include <pthread.h>
#include <stdint.h>

struct oracle {
    int fd;
    pthread_mutex_t mutex; /* one line at a time */
};

struct acknowledgement {
    uint64_t id;
    struct digest digest; /* of the value */
    uint64_t unix_ms;     /* when the answer had arrived */
    bool found;           /* for the check */
};

/* Opens for appending, made if absent. */
bool oracle_open(const char *path, struct oracle *ret_oracle, struct err *err) CHECKED;
void oracle_close(struct oracle *oracle);

/* Appends and syncs one. Any thread. */
bool oracle_note(struct oracle *oracle, uint64_t id, const char *value, struct err *err) CHECKED;

/* Every line, allocated, sorted by id. A last line without its end was never acknowledged to anybody and is
 * left out. */
bool oracle_read(const char *path, struct acknowledgement **ret_entries, size_t *ret_count,
                 struct err *err) CHECKED;

#endif
