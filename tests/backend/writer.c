#include "tests/backend/writer.h"

#include "tests/backend/document.h"
#include "tests/backend/schema.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool writer_open(struct persistence *persistence, uint64_t seed, struct writer **ret_writer, struct err *err)
{
    CLEANUP(writer_closep) struct writer *writer = xcalloc(1, sizeof(*writer));
    struct index_key last;

    if (seed)
        random_seed(&writer->random, seed);
    else
        random_seed_anew(&writer->random);
    if (!query_last_key(persistence, &schema_get()->messages.by_one, &last, err) ||
        !query_last_ts(persistence, &writer->last_ts, err))
        return err_wrap(err, "find where the database ends");
    writer->last_number = last.size ? (int64_t)key_number(&last) : 0;
    *ret_writer = MOVE(writer);
    return true;
}

void writer_close(struct writer *writer)
{
    if (!writer)
        return;
    batch_clear(&writer->batch);
    free(writer);
}

void writer_pretend(struct writer *writer, int64_t begin_ns, int64_t step_max_ns)
{
    writer->last_ts = begin_ns;
    writer->step_max_ns = step_max_ns;
}

void writer_begin(struct writer *writer)
{
    batch_reset(&writer->batch);
}

/* Commit timestamps are max(latest + 1, wall clock), as Convex's committer picks them. */
static int64_t next_ts(struct writer *writer)
{
    int64_t now = (int64_t)clock_unix_ns();

    if (writer->step_max_ns)
        now = writer->last_ts + 1 + (int64_t)random_below(&writer->random, (uint64_t)writer->step_max_ns);
    writer->last_ts = now > writer->last_ts ? now : writer->last_ts + 1;
    return writer->last_ts;
}

static void add_index(struct writer *writer, const struct ident *index, const struct ident *table,
                      const struct ident *document, const struct index_key *key)
{
    struct index_row row = {
        .index = *index, .table = *table, .document = *document, .ts = writer->last_ts, .key = *key};

    batch_add_index(&writer->batch, &row);
}

/* The two indexes that every table has. */
static void add_system_indexes(struct writer *writer, const struct table_schema *table,
                               const struct ident *id, int64_t created)
{
    struct index_key by_id = {0}, by_creation_time = {0};

    key_add(&by_id, id->bytes, IDENT_SIZE);
    key_add_number(&by_creation_time, (uint64_t)created);
    key_add(&by_creation_time, id->bytes, IDENT_SIZE);
    add_index(writer, &table->by_id, &table->table, id, &by_id);
    add_index(writer, &table->by_creation_time, &table->table, id, &by_creation_time);
}

static struct channel *channel_new(struct writer *writer)
{
    struct channel *channel;
    size_t at = writer->channel_count;

    /* When the list is full, some channel falls silent for ever. */
    if (at == WRITER_CHANNELS_MAX)
        at = random_below(&writer->random, WRITER_CHANNELS_MAX);
    else
        writer->channel_count++;
    channel = &writer->channels[at];
    *channel = (struct channel){.id = random_ident(&writer->random), .created = writer->last_ts};
    return channel;
}

/* The hot tenth of the list gets 60 % of the patches. */
static struct channel *channel_pick(struct writer *writer)
{
    size_t count = writer->channel_count, hot = count / 10 + 1;

    if (count < 16 || random_below(&writer->random, 10) == 0)
        return channel_new(writer);
    if (random_below(&writer->random, 10) < 6)
        return &writer->channels[random_below(&writer->random, hot)];
    return &writer->channels[random_below(&writer->random, count)];
}

static void add_channel_revision(struct writer *writer, struct channel *channel)
{
    const struct table_schema *table = &schema_get()->channels;
    struct document_row row = {
        .id = channel->id, .table = table->table, .ts = writer->last_ts, .prev_ts = channel->ts};
    struct index_key by_name = {0}, by_activity = {0};

    channel->revision++;
    row.json = document_channel(&writer->random, &channel->id, channel->created, channel->revision);
    batch_add_document(&writer->batch, &row);
    add_system_indexes(writer, table, &channel->id, channel->created);
    key_add_number(&by_name, channel->id.bytes[0]);
    key_add(&by_name, channel->id.bytes, IDENT_SIZE);
    key_add_number(&by_activity, (uint64_t)writer->last_ts);
    key_add(&by_activity, channel->id.bytes, IDENT_SIZE);
    add_index(writer, &table->by_one, &table->table, &channel->id, &by_name);
    add_index(writer, &table->by_two, &table->table, &channel->id, &by_activity);
    channel->ts = writer->last_ts;
}

static void add_message(struct writer *writer, int64_t number, const struct channel *channel,
                        const char *value)
{
    const struct table_schema *table = &schema_get()->messages;
    struct document_row row = {
        .id = random_ident(&writer->random), .table = table->table, .ts = writer->last_ts};
    struct index_key by_number = {0}, by_channel = {0};

    row.json = document_message(&writer->random, &row.id, &channel->id, writer->last_ts, value);
    batch_add_document(&writer->batch, &row);
    add_system_indexes(writer, table, &row.id, writer->last_ts);
    key_add_number(&by_number, (uint64_t)number);
    key_add(&by_channel, channel->id.bytes, IDENT_SIZE);
    key_add(&by_channel, row.id.bytes, IDENT_SIZE);
    add_index(writer, &table->by_one, &table->table, &row.id, &by_number);
    add_index(writer, &table->by_two, &table->table, &row.id, &by_channel);
}

int64_t writer_add_mutation(struct writer *writer, const char *value)
{
    struct channel *channel;
    int64_t number = ++writer->last_number;

    (void)next_ts(writer);
    channel = channel_pick(writer);
    add_message(writer, number, channel, value);
    add_channel_revision(writer, channel);
    if (writer->batch.first_number == 0)
        writer->batch.first_number = number;
    writer->batch.last_number = number;
    return number;
}

static void key_of_file(const char *file, struct index_key *ret_key)
{
    *ret_key = (struct index_key){0};
    key_add(ret_key, file, strlen(file));
}

void writer_add_file(struct writer *writer, const char *file, const char *sha256, uint64_t size)
{
    const struct table_schema *table = &schema_get()->files;
    struct document_row row = {.id = random_ident(&writer->random), .table = table->table};
    struct index_key by_storage_key;

    row.ts = next_ts(writer);
    row.json = document_file(&row.id, row.ts, file, sha256, size);
    batch_add_document(&writer->batch, &row);
    add_system_indexes(writer, table, &row.id, row.ts);
    key_of_file(file, &by_storage_key);
    add_index(writer, &table->by_one, &table->table, &row.id, &by_storage_key);
}

void writer_remove_file(struct writer *writer, const struct entry *entry)
{
    const struct table_schema *table = &schema_get()->files;
    struct document_row row = {.id = entry->document, .table = table->table, .prev_ts = entry->ts};
    struct index_row gone = {.index = table->by_one, .key = entry->key, .deleted = true};

    row.ts = gone.ts = next_ts(writer);
    batch_add_document(&writer->batch, &row);
    batch_add_index(&writer->batch, &gone);
}
