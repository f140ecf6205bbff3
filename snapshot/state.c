/* The state file: what it says is in state.h. Its form is private to this file and to this disk, so it may
 * change with any release: an unknown one counts as none, and then the start table asks the store or the
 * operator. */
#include "snapshot/state.h"

#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char state_path[] = ".holdfast/state";
static const char lock_path[] = ".holdfast/lock";
static const char state_magic[] = "HFSTATE1";

enum { STATE_SIZE_MAX = 4 << 20, STATE_DATABASES_MAX = 64, STATE_PATH_MAX = 4096, LOCK_ATTEMPTS = 5 };

void state_init(struct state *state)
{
    *state = (struct state){0};
}

void state_point_clear(struct state_point *point)
{
    for (size_t at = 0; at < point->databases_count; at++)
        free(point->databases[at].path);
    free(point->databases);
    *point = (struct state_point){0};
}

struct database_mark *state_mark_of(const struct state_point *point, const char *path)
{
    for (size_t at = 0; at < point->databases_count; at++)
        if (strcmp(point->databases[at].path, path) == 0)
            return &point->databases[at].mark;
    return NULL;
}

void state_clear(struct state *state)
{
    state_point_clear(&state->shipped);
    state_point_clear(&state->sending);
}

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

bool state_save(int directory_fd, const struct state *state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);
    struct digest hash;

    buf_add_text(&bytes, state_magic);
    buf_add(&bytes, state->lineage.bytes, ID_SIZE);
    add_record(&bytes, &state->confirmed);
    buf_add(&bytes, state->confirmed_hash.bytes, HASH_SIZE);
    wire_add_u8(&bytes, state->answered);
    wire_add_u8(&bytes, (uint8_t)state->restoring);
    wire_add_str(&bytes, state->aside, strlen(state->aside));
    add_point(&bytes, &state->shipped);
    add_point(&bytes, &state->sending);
    hash = digest_of(bytes.bytes, bytes.size);
    buf_add(&bytes, hash.bytes, HASH_SIZE);
    if (!buf_check(&bytes, state_path, err) ||
        !fs_replace_file(directory_fd, state_path, bytes.bytes, bytes.size, 0600, err))
        return err_wrap(err, "remember the position in HOLDFAST_DATA_DIR");
    return true;
}

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

    if (reader->failed || !mark || size >= STATE_PATH_MAX)
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
    if (reader->failed || count > STATE_DATABASES_MAX)
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
    return read_point(reader, &state->shipped) && read_point(reader, &state->sending) && wire_done(reader);
}

bool state_load(int directory_fd, struct state *ret_state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);
    size_t magic_size = sizeof(state_magic) - 1;
    struct wire_reader reader;
    struct digest hash;
    struct state state;

    if (!fs_read_file(directory_fd, state_path, &bytes, err))
        return false;
    if (bytes.size < magic_size + HASH_SIZE || memcmp(bytes.bytes, state_magic, magic_size) != 0)
        return err_set(err, ERR_CORRUPT, "%s is not a state file of this release", state_path);
    hash = digest_of(bytes.bytes, bytes.size - HASH_SIZE);
    if (memcmp(hash.bytes, bytes.bytes + bytes.size - HASH_SIZE, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s is damaged", state_path);
    reader = wire_reader_of(bytes.bytes + magic_size, bytes.size - magic_size - HASH_SIZE);
    state_init(&state);
    if (!read_state(&reader, &state)) {
        state_clear(&state);
        return err_set(err, ERR_CORRUPT, "%s can't be read", state_path);
    }
    *ret_state = state;
    return true;
}

static bool make_folder(int directory_fd, bool *ret_made, struct err *err)
{
    bool made = mkdirat(directory_fd, ".holdfast", 0700) == 0;

    if (!made && errno != EEXIST) {
        (void)err_errno(err, "HOLDFAST_DATA_DIR can't be written");
        err->code = ERR_CONFIG;
        return err_wrap(err, "make it writable for this user, or mount it read-write");
    }
    *ret_made = made;
    return true;
}

static bool take_lock(int directory_fd, int *ret_lock_fd, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!fs_open_beneath(directory_fd, lock_path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &fd, err)) {
        err->code = ERR_CONFIG;
        return err_wrap(err, "HOLDFAST_DATA_DIR can't be written; make it writable for this user");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_CONFIG,
                           "HOLDFAST_DATA_DIR is in use by another holdfast on this machine; stop it or give "
                           "this one a directory of its own");
        return err_errno(err, "lock %s", lock_path);
    }
    *ret_lock_fd = MOVE_FD(fd);
    return true;
}

/* A start that is refused removes the folder: its lock, opened before that, would guard nothing. */
static bool is_removed(int lock_fd)
{
    struct stat status;

    return fstat(lock_fd, &status) == 0 && status.st_nlink == 0;
}

bool state_lock(int directory_fd, bool *ret_made, int *ret_lock_fd, struct err *err)
{
    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        CLEANUP(close_fdp) int fd = -1;
        bool made = false;
        if (!make_folder(directory_fd, &made, err))
            return false;
        if (!take_lock(directory_fd, &fd, err)) {
            if (made)
                (void)unlinkat(directory_fd, ".holdfast", AT_REMOVEDIR);
            return false;
        }
        if (is_removed(fd))
            continue;
        *ret_made = made;
        *ret_lock_fd = MOVE_FD(fd);
        return true;
    }
    return err_set(err, ERR_CONFIG, "HOLDFAST_DATA_DIR is in use by other starts on this machine; stop them");
}

void state_remove_folder(int directory_fd)
{
    if (faccessat(directory_fd, state_path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    (void)unlinkat(directory_fd, lock_path, 0);
    (void)unlinkat(directory_fd, ".holdfast", AT_REMOVEDIR);
}
