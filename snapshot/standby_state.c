#include "snapshot/standby_state.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char state_path[] = ".holdfast/standby";
static const char state_magic[] = "HFSTAND1";

enum { MAGIC_SIZE = sizeof(state_magic) - 1, DATABASE_BYTES_MIN = 2 };

void standby_add_attributes(struct buf *bytes, const struct standby_attributes *attributes)
{
    wire_add_u32(bytes, attributes->mode);
    wire_add_u32(bytes, attributes->uid);
    wire_add_u32(bytes, attributes->gid);
    wire_add_u64(bytes, (uint64_t)attributes->mtime_ns);
}

struct standby_attributes standby_read_attributes(struct wire_reader *reader)
{
    struct standby_attributes attributes;

    attributes.mode = wire_u32(reader);
    attributes.uid = wire_u32(reader);
    attributes.gid = wire_u32(reader);
    attributes.mtime_ns = (int64_t)wire_u64(reader);
    return attributes;
}

static void add_database(struct buf *bytes, const struct manifest_database *database)
{
    wire_add_str(bytes, database->path, strlen(database->path));
    wire_add_u64(bytes, database->incarnation);
    wire_add_u64(bytes, database->position);
    wire_add_u32(bytes, database->page_size);
    wire_add_u64(bytes, database->pages);
    wire_add_u64(bytes, database->rolling_hash);
    standby_add_attributes(bytes, &(struct standby_attributes){database->mode, database->uid, database->gid,
                                                               database->mtime_ns});
}

void standby_state_encode(const struct manifest *state, struct buf *bytes)
{
    size_t begin = bytes->size;
    struct digest hash;

    buf_add_text(bytes, state_magic);
    buf_add(bytes, state->lineage.bytes, ID_SIZE);
    wire_add_u64(bytes, state->position);
    wire_add_u64(bytes, state->time_ns);
    buf_add(bytes, state->record.bytes, HASH_SIZE);
    wire_add_u32(bytes, (uint32_t)state->databases_count);
    for (size_t at = 0; at < state->databases_count; at++)
        add_database(bytes, &state->databases[at]);
    hash = digest_of(bytes->bytes + begin, bytes->size - begin);
    buf_add(bytes, hash.bytes, HASH_SIZE);
}

static bool read_database(struct wire_reader *reader, struct manifest *state)
{
    struct standby_attributes attributes;
    struct manifest_database *database;
    char path[TREE_PATH_MAX + 1] = "";
    size_t size = 0;
    const char *text = wire_str(reader, &size);

    if (!tree_path_is_safe(text, size))
        return false;
    memcpy(path, text, size);
    database = manifest_add_database(state, path);
    database->incarnation = wire_u64(reader);
    database->position = wire_u64(reader);
    database->page_size = wire_u32(reader);
    database->pages = wire_u64(reader);
    database->rolling_hash = wire_u64(reader);
    attributes = standby_read_attributes(reader);
    database->mode = attributes.mode;
    database->uid = attributes.uid;
    database->gid = attributes.gid;
    database->mtime_ns = attributes.mtime_ns;
    return !reader->failed && pagehash_is_page_size(database->page_size) &&
           database->pages <= PAGEHASH_PAGES_MAX;
}

static bool read_state(struct wire_reader *reader, struct manifest *state)
{
    uint32_t count;

    wire_copy(reader, state->lineage.bytes, ID_SIZE);
    state->position = wire_u64(reader);
    state->time_ns = wire_u64(reader);
    wire_copy(reader, state->record.bytes, HASH_SIZE);
    count = wire_u32(reader);
    if (count > wire_left(reader) / DATABASE_BYTES_MIN)
        return false;
    while (count-- > 0)
        if (!read_database(reader, state))
            return false;
    return wire_done(reader);
}

bool standby_state_decode(const void *bytes, size_t size, struct manifest *ret_state, struct err *err)
{
    const uint8_t *at = bytes;
    struct manifest state;
    struct wire_reader reader;
    struct digest hash;

    if (size < MAGIC_SIZE + HASH_SIZE || memcmp(at, state_magic, MAGIC_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s is not a follower's state of this release", state_path);
    hash = digest_of(at, size - HASH_SIZE);
    if (memcmp(hash.bytes, at + size - HASH_SIZE, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s is damaged", state_path);
    manifest_init(&state);
    reader = wire_reader_of(at + MAGIC_SIZE, size - MAGIC_SIZE - HASH_SIZE);
    if (!read_state(&reader, &state)) {
        manifest_clear(&state);
        return err_set(err, ERR_CORRUPT, "%s can't be read", state_path);
    }
    *ret_state = state;
    return true;
}

bool standby_state_save(int directory_fd, const struct manifest *state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STANDBY_STATE_MAX);

    standby_state_encode(state, &bytes);
    return (buf_check(&bytes, state_path, err) &&
            fs_replace_file(directory_fd, state_path, bytes.bytes, bytes.size, 0600, err)) ||
           err_wrap(err, "remember the record that the copy stands at");
}

bool standby_state_load(int directory_fd, struct manifest *ret_state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STANDBY_STATE_MAX);

    return fs_read_file(directory_fd, state_path, &bytes, err) &&
           standby_state_decode(bytes.bytes, bytes.size, ret_state, err);
}

bool standby_refuse(int directory_fd, struct err *err)
{
    struct stat status;

    if (fstatat(directory_fd, state_path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return true; /* what else is wrong with it, whoever opens it will find */
    return err_set(err, ERR_CONFIG,
                   "HOLDFAST_DATA_DIR is a copy that `restore --follow` keeps up to date, and no backend may "
                   "run on it: give `run` another directory, or stop the follower for good and remove "
                   ".holdfast in it");
}
