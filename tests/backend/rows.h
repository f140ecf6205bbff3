/* What one commit writes: revisions of documents and of index entries, in the shape of Convex's tables. */
#ifndef TESTS_BACKEND_ROWS_H
#define TESTS_BACKEND_ROWS_H

#include "tests/backend/random.h"

#include <stdbool.h>

enum { INDEX_KEY_MAX = 64 };

struct document_row {
    struct ident id, table;
    int64_t ts;
    int64_t prev_ts; /* 0: the first revision */
    char *json;      /* NULL: deleted by this revision */
};

struct index_key {
    uint8_t bytes[INDEX_KEY_MAX];
    size_t size;
};

struct index_row {
    struct ident index, table, document;
    int64_t ts;
    struct index_key key;
    bool deleted;
};

struct batch {
    struct document_row *documents;
    struct index_row *indexes;
    size_t document_count, document_capacity;
    size_t index_count, index_capacity;
    int64_t first_number; /* of the mutations in it; 0 if there are none */
    int64_t last_number;
};

/* Takes over row->json, which is allocated. */
void batch_add_document(struct batch *batch, const struct document_row *row);
void batch_add_index(struct batch *batch, const struct index_row *row);
/* Empties it and keeps the memory. */
void batch_reset(struct batch *batch);
void batch_clear(struct batch *batch);

/* Appends to a key; numbers so that keys sort as they do. */
void key_add(struct index_key *key, const void *bytes, size_t size);
void key_add_number(struct index_key *key, uint64_t number);
uint64_t key_number(const struct index_key *key);

#endif
