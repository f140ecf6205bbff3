#include "tests/backend/rows.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *with_room(void *rows, size_t count, size_t *capacity, size_t row_size)
{
    if (count < *capacity)
        return rows;
    *capacity = *capacity ? *capacity * 2 : 16;
    return xrealloc(rows, *capacity * row_size);
}

void batch_add_document(struct batch *batch, const struct document_row *row)
{
    batch->documents = with_room(batch->documents, batch->document_count, &batch->document_capacity,
                                 sizeof(*batch->documents));
    batch->documents[batch->document_count++] = *row;
}

void batch_add_index(struct batch *batch, const struct index_row *row)
{
    batch->indexes =
        with_room(batch->indexes, batch->index_count, &batch->index_capacity, sizeof(*batch->indexes));
    batch->indexes[batch->index_count++] = *row;
}

void batch_reset(struct batch *batch)
{
    for (size_t at = 0; at < batch->document_count; at++)
        free(batch->documents[at].json);
    batch->document_count = 0;
    batch->index_count = 0;
    batch->first_number = 0;
    batch->last_number = 0;
}

void batch_clear(struct batch *batch)
{
    batch_reset(batch);
    free(batch->documents);
    free(batch->indexes);
    *batch = (struct batch){0};
}

void key_add(struct index_key *key, const void *bytes, size_t size)
{
    assert(size <= sizeof(key->bytes) - key->size);
    memcpy(key->bytes + key->size, bytes, size);
    key->size += size;
}

void key_add_number(struct index_key *key, uint64_t number)
{
    uint8_t bytes[8];

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = (uint8_t)(number >> (56 - 8 * at));
    key_add(key, bytes, sizeof(bytes));
}

uint64_t key_number(const struct index_key *key)
{
    uint64_t number = 0;

    for (size_t at = 0; at < 8; at++)
        number = number << 8 | key->bytes[at];
    return number;
}
