/* Reads. Each takes the persistence's mutex for one finished query; long lists are read in pages. */
#ifndef TESTS_BACKEND_QUERY_H
#define TESTS_BACKEND_QUERY_H

#include "tests/backend/persistence.h"

#include "base/buf.h"

/* The newest revision of one document that an index finds. Fields that it lacks are NULL or 0. */
struct entry {
    struct index_key key;
    int64_t ts;
    struct ident document;
    char *value, *sha256; /* owned */
    int64_t size;
};

void entry_clear(struct entry *entry);

/* Up to count entries of an index whose keys are above after->key, in order; *ret_count says how many. The
 * caller clears each. */
bool query_page(struct persistence *persistence, const struct ident *index, const struct index_key *after,
                struct entry *entries, size_t count, size_t *ret_count, struct err *err) CHECKED;

/* The entry with exactly this key; ERR_NOT_FOUND. */
bool query_entry(struct persistence *persistence, const struct ident *index, const struct index_key *key,
                 struct entry *ret_entry, struct err *err) CHECKED;

/* How many live keys an index has. */
bool query_count(struct persistence *persistence, const struct ident *index, int64_t *ret_count,
                 struct err *err) CHECKED;

/* The greatest key of an index; its size is 0 if there is none. */
bool query_last_key(struct persistence *persistence, const struct ident *index, struct index_key *ret_key,
                    struct err *err) CHECKED;

/* The newest ts of any document, 0 if there is none. */
bool query_last_ts(struct persistence *persistence, int64_t *ret_ts, struct err *err) CHECKED;

bool query_has_global(struct persistence *persistence, const char *key, bool *ret_has,
                      struct err *err) CHECKED;
bool query_has_document(struct persistence *persistence, const struct ident *table, bool *ret_has,
                        struct err *err) CHECKED;

/* Runs `PRAGMA integrity_check` on every database and compares the second with the first; what is wrong is
 * added to *report, nothing if all is well. */
bool query_integrity(struct persistence *persistence, struct buf *report, struct err *err) CHECKED;

#endif
