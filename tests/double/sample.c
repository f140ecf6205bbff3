#include "tests/double/sample.h"

#include "base/buf.h"
#include "base/fs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

enum { PIECE_BYTES = 65536, SAMPLE_NAMES_MAX = 100 };

static char directory[SAMPLE_PATH_MAX / 2];
static pid_t directory_owner;

static void remove_directory(void)
{
    struct err err = {0};

    if (directory_owner == getpid() && !fs_remove_tree(AT_FDCWD, directory, &err))
        (void)fprintf(stderr, "# %s\n", err.text);
}

const char *sample_directory(void)
{
    if (!directory[0]) {
        (void)snprintf(directory, sizeof(directory), "/tmp/holdfast-test-XXXXXX");
        if (!mkdtemp(directory))
            abort();
        directory_owner = getpid();
        (void)atexit(remove_directory);
    }
    return directory;
}

const char *sample_path(const char *name)
{
    static char paths[SAMPLE_NAMES_MAX][SAMPLE_PATH_MAX];
    char path[SAMPLE_PATH_MAX];
    unsigned at = 0;

    (void)snprintf(path, sizeof(path), "%s/%.60s", sample_directory(), name);
    while (paths[at][0] && strcmp(paths[at], path) != 0)
        if (++at == SAMPLE_NAMES_MAX)
            abort();
    memcpy(paths[at], path, sizeof(path));
    return paths[at];
}

static int64_t number_of(sqlite3 *connection, const char *sql)
{
    sqlite3_stmt *select = NULL;
    int64_t number = -1;

    if (sqlite3_prepare_v2(connection, sql, -1, &select, NULL) == SQLITE_OK &&
        sqlite3_step(select) == SQLITE_ROW)
        number = sqlite3_column_int64(select, 0);
    (void)sqlite3_finalize(select);
    return number;
}

static bool check_integrity(sqlite3 *connection, struct sample_state *state)
{
    sqlite3_stmt *check = NULL;
    bool is_sound = false;

    (void)snprintf(state->complaint, sizeof(state->complaint), "%s", sqlite3_errmsg(connection));
    if (sqlite3_prepare_v2(connection, "PRAGMA integrity_check", -1, &check, NULL) == SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(check, 0);
        (void)snprintf(state->complaint, sizeof(state->complaint), "%s", text);
        is_sound = strcmp(text, "ok") == 0;
    }
    (void)sqlite3_finalize(check);
    return is_sound;
}

struct sample_state sample_read(const char *path)
{
    struct sample_state state = {0};
    sqlite3 *connection = NULL;

    if (sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        state.is_sound = check_integrity(connection, &state);
        state.a = number_of(connection, "SELECT a FROM pair");
        state.b = number_of(connection, "SELECT b FROM pair");
        state.rows = number_of(connection, "SELECT count(*) FROM entry");
    }
    (void)sqlite3_close(connection);
    return state;
}

int64_t sample_value(const char *path)
{
    struct sample_state state = sample_read(path);

    if (state.is_sound && state.a == state.b && state.a == state.rows)
        return state.a;
    printf("#   %s: %s, a %lld, b %lld, rows %lld\n", path, state.complaint, (long long)state.a,
           (long long)state.b, (long long)state.rows);
    return -1;
}

char *sample_tags(const char *path)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *select = NULL;
    const char *found = NULL;
    char *tags;

    if (sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(connection, "SELECT group_concat(tag, '') FROM (SELECT tag FROM entry ORDER BY n)",
                           -1, &select, NULL) == SQLITE_OK &&
        sqlite3_step(select) == SQLITE_ROW)
        found = (const char *)sqlite3_column_text(select, 0);
    tags = xstrdup(found ? found : "");
    (void)sqlite3_finalize(select);
    (void)sqlite3_close(connection);
    return tags;
}

/* Calls visit for each piece of a frozen file. */
static bool visit_frozen(struct database *database,
                         bool (*visit)(void *, const void *, size_t, uint64_t, struct err *), void *context,
                         struct err *err)
{
    const struct database_frozen *frozen = database_frozen(database);
    uint64_t size = (uint64_t)frozen->page_count * frozen->page_size;
    static uint8_t piece[PIECE_BYTES];

    for (uint64_t offset = 0; offset < size; offset += sizeof(piece)) {
        size_t wanted = size - offset < sizeof(piece) ? (size_t)(size - offset) : sizeof(piece);
        if (!database_read_frozen(database, offset, piece, wanted, err) ||
            !visit(context, piece, wanted, offset, err))
            return false;
    }
    return true;
}

static bool write_piece(void *context, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    const int *fd = context;

    return fs_write_at(*fd, bytes, size, offset, err);
}

bool sample_copy_frozen(struct database *database, const char *target, struct err *err)
{
    CLEANUP(close_fdp) int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, "create %s", target);
    return visit_frozen(database, write_piece, &fd, err);
}

static bool hash_piece(void *context, const void *bytes, size_t size, uint64_t offset, struct err *err)
{
    uint64_t *hash = context;

    (void)err;
    *hash ^= XXH3_64bits_withSeed(bytes, size, offset);
    return true;
}

uint64_t sample_hash_frozen(struct database *database)
{
    uint64_t hash = 0;
    struct err err = {0};

    if (!visit_frozen(database, hash_piece, &hash, &err))
        abort();
    return hash;
}

uint64_t sample_hash_file(const char *path)
{
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(256 << 20);
    struct err err = {0};
    uint64_t hash = 0;

    if (!fs_read_file(AT_FDCWD, path, &contents, &err))
        abort();
    for (size_t offset = 0; offset < contents.size; offset += PIECE_BYTES) {
        size_t rest = contents.size - offset;
        (void)hash_piece(&hash, contents.bytes + offset, rest < PIECE_BYTES ? rest : PIECE_BYTES, offset,
                         &err);
    }
    return hash;
}

uint64_t sample_size(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

bool sample_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void sample_tear_index(const char *path)
{
    CLEANUP(freep) char *index = xasprintf("%s-shm", path);
    CLEANUP(close_fdp) int fd = -1;
    pid_t child = fork(); /* closing the file here would drop our locks */
    int status = -1;

    if (child == 0) {
        uint32_t word = 0x5a5a5a5a;
        fd = open(index, O_RDWR | O_CLOEXEC);
        _exit(pwrite(fd, &word, sizeof(word), 48 + 16) == sizeof(word) ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        abort();
}
