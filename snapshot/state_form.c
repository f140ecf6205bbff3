/* The bytes of the state file. They are private to this file and to this disk, so they may change with any
 * release: an unknown form counts as none, and then the start table asks the store or the operator. What is
 * gone comes last, and only if something is: without it the file is the one that releases before this had. */
#include "snapshot/state.h"

#include <assert.h>
#include <string.h>

static const char state_magic[] = "HFSTATE1";

enum { DATABASES_MAX = 64, PATH_SIZE_MAX = 4096 };

/* --- writing ----------------------------------------------------------------------------------------- */

static void add_point(struct buf *bytes, const struct state_point *point)
{
    wire_add_u64(bytes, point->position);
    buf_add(bytes, point->hash.bytes, HASH_SIZE);
    wire_add_u32(bytes, (uint32_t)point->databases_count);
    for (size_t at = 0; at < point->databases_count; at++) {
        const struct state_database *database = &point->databases[at];
        wire_add_str(bytes, database->path, strlen(database->path));
        wire_add_u32(bytes, sizeof(database->mark));
        buf_add(bytes, &database->mark, sizeof(database->mark));
    }
}

static void add_record(struct buf *bytes, const struct record_header *header)
{
    CLEANUP(buf_clearp) struct buf record = BUF_INIT(RECORD_SIZE_MAX), body = BUF_INIT(sizeof(uint64_t));
    struct digest unused;

    if (header->position == 0) {
        wire_add_u32(bytes, 0);
        return;
    }
    if (header->kind == RECORD_DRAIN) /* the one kind whose body its header implies */
        drain_body_encode(header->draining_until_ns, &body);
    record_encode(header, body.bytes, body.size, &record, &unused);
    wire_add_u32(bytes, (uint32_t)record.size);
    buf_add(bytes, record.bytes, record.size);
}

static void add_file(struct buf *bytes, const struct file_id *file)
{
    wire_add_u64(bytes, file->inode);
    wire_add_u64(bytes, (uint64_t)file->birth_ns);
}

static void add_gone(struct buf *bytes, const struct gone_list *gone)
{
    if (gone->count == 0)
        return;
    wire_add_str(bytes, gone->boot, strlen(gone->boot));
    wire_add_u32(bytes, (uint32_t)gone->count);
    for (size_t at = 0; at < gone->count; at++) {
        const struct gone_database *database = &gone->databases[at];
        wire_add_str(bytes, database->path, strlen(database->path));
        wire_add_u64(bytes, database->incarnation);
        add_file(bytes, &database->was);
        add_file(bytes, &database->now);
    }
}

void state_encode(const struct state *state, struct buf *bytes)
{
    struct digest hash;

    buf_add_text(bytes, state_magic);
    buf_add(bytes, state->lineage.bytes, ID_SIZE);
    add_record(bytes, &state->confirmed);
    buf_add(bytes, state->confirmed_hash.bytes, HASH_SIZE);
    wire_add_u8(bytes, state->answered);
    wire_add_u8(bytes, (uint8_t)state->restoring);
    wire_add_str(bytes, state->aside, strlen(state->aside));
    add_point(bytes, &state->shipped);
    add_point(bytes, &state->sending);
    add_gone(bytes, &state->gone);
    hash = digest_of(bytes->bytes, bytes->size);
    buf_add(bytes, hash.bytes, HASH_SIZE);
}

/* --- reading ----------------------------------------------------------------------------------------- */

static void read_digest(struct wire_reader *reader, struct digest *ret_digest)
{
    const uint8_t *bytes = wire_bytes(reader, HASH_SIZE);

    if (bytes)
        memcpy(ret_digest->bytes, bytes, HASH_SIZE);
}

static bool read_database(struct wire_reader *reader, struct state_database *database)
{
    size_t size = 0;
    const char *path = wire_str(reader, &size);
    bool fits = wire_u32(reader) == sizeof(database->mark);
    const uint8_t *mark = fits ? wire_bytes(reader, sizeof(database->mark)) : NULL;

    if (reader->failed || !mark || size >= PATH_SIZE_MAX)
        return false;
    database->path = xasprintf("%.*s", (int)size, path);
    memcpy(&database->mark, mark, sizeof(database->mark));
    return true;
}

static bool read_point(struct wire_reader *reader, struct state_point *point)
{
    uint32_t count;

    point->position = wire_u64(reader);
    read_digest(reader, &point->hash);
    count = wire_u32(reader);
    if (reader->failed || count > DATABASES_MAX)
        return false;
    point->databases = xcalloc(count, sizeof(point->databases[0]));
    for (; point->databases_count < count; point->databases_count++)
        if (!read_database(reader, &point->databases[point->databases_count]))
            return false;
    return true;
}

static bool read_record(struct wire_reader *reader, struct record_header *header)
{
    uint32_t size = wire_u32(reader);
    const uint8_t *bytes = wire_bytes(reader, size);
    struct record record;
    struct err ignored = {0};

    if (size == 0)
        return !reader->failed;
    if (!bytes || !record_decode(bytes, size, &record, &ignored))
        return false;
    *header = record.header;
    return true;
}

static void read_file(struct wire_reader *reader, struct file_id *file)
{
    file->inode = wire_u64(reader);
    file->birth_ns = (int64_t)wire_u64(reader);
}

static bool read_gone_database(struct wire_reader *reader, struct gone_database *database)
{
    size_t size = 0;
    const char *path = wire_str(reader, &size);

    database->incarnation = wire_u64(reader);
    read_file(reader, &database->was);
    read_file(reader, &database->now);
    if (reader->failed || size >= PATH_SIZE_MAX || database->incarnation == 0 || database->was.inode == 0)
        return false;
    database->path = xasprintf("%.*s", (int)size, path);
    return true;
}

static bool read_gone(struct wire_reader *reader, struct gone_list *gone)
{
    size_t size = 0;
    const char *boot;
    uint32_t count;

    if (wire_done(reader))
        return true;
    boot = wire_str(reader, &size);
    count = wire_u32(reader);
    if (reader->failed || size >= sizeof(gone->boot) || count == 0 || count > GONE_MAX)
        return false;
    memcpy(gone->boot, boot, size);
    gone->databases = xcalloc(count, sizeof(gone->databases[0]));
    for (; gone->count < count; gone->count++)
        if (!read_gone_database(reader, &gone->databases[gone->count]))
            return false;
    return true;
}

static bool read_state(struct wire_reader *reader, struct state *state)
{
    const uint8_t *lineage = wire_bytes(reader, ID_SIZE);
    const char *aside;
    size_t aside_size = 0;

    if (!lineage || !read_record(reader, &state->confirmed))
        return false;
    memcpy(state->lineage.bytes, lineage, ID_SIZE);
    read_digest(reader, &state->confirmed_hash);
    state->answered = wire_u8(reader) != 0;
    state->restoring = (enum state_restoring)wire_u8(reader);
    aside = wire_str(reader, &aside_size);
    if (reader->failed || state->restoring > RESTORING_ASIDE || aside_size >= sizeof(state->aside))
        return false;
    memcpy(state->aside, aside, aside_size);
    return read_point(reader, &state->shipped) && read_point(reader, &state->sending) &&
           read_gone(reader, &state->gone) && wire_done(reader);
}

bool state_decode(const uint8_t *bytes, size_t size, struct state *ret_state, struct err *err)
{
    size_t magic_size = sizeof(state_magic) - 1;
    struct wire_reader reader;
    struct digest hash;
    struct state state;

    if (size < magic_size + HASH_SIZE || memcmp(bytes, state_magic, magic_size) != 0)
        return err_set(err, ERR_CORRUPT, "not a state file of this release");
    hash = digest_of(bytes, size - HASH_SIZE);
    if (memcmp(hash.bytes, bytes + size - HASH_SIZE, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "damaged");
    reader = wire_reader_of(bytes + magic_size, size - magic_size - HASH_SIZE);
    state_init(&state);
    if (!read_state(&reader, &state)) {
        state_clear(&state);
        return err_set(err, ERR_CORRUPT, "not what a state file says");
    }
    *ret_state = state;
    return true;
}
