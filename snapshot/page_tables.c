/* The tables always stand at one record, and the journal leads them to the next: it is whole before that
 * record is sent, and carried out when the record is confirmed, or by the next start that finds the record in
 * the log. It says what the values become and never by how much they change, so it may be carried out any
 * number of times, and by halves. What a kill at any instant leaves is one of these:
 *
 *     the journal is torn, or of a record that did not land     the tables are right as they are
 *     the journal is of the newest record that changed data     the tables are right when it is carried out
 *
 * Everything else (a power cut, a disk that was set back, a fault of ours) shows in the XOR. */
#include "snapshot/page_tables.h"

#include "base/fs.h"
#include "base/walk.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

void page_tables_init(struct page_tables *tables, int directory_fd,
                      void (*warn)(void *context, const char *text), void *warn_context)
{
    *tables = (struct page_tables){.directory_fd = directory_fd, .warn = warn, .warn_context = warn_context};
}

void page_tables_clear(struct page_tables *tables)
{
    page_journal_clear(&tables->journal);
    tables->work = tables->waits = false;
}

void page_tables_expect(struct manifest *manifest)
{
    for (size_t at = 0; at < manifest->databases_count; at++) {
        struct manifest_database *database = &manifest->databases[at];
        page_hashes_free(database->hashes);
        database->hashes = page_hashes_new(database->pages);
    }
}

void page_tables_drop(struct page_tables *tables)
{
    struct err ignored = {0};
    bool removed = fs_remove_tree(tables->directory_fd, PAGE_TABLES_FOLDER, &ignored);

    (void)removed; /* what is left is not believed */
    page_tables_clear(tables);
}

static void give_up(struct page_tables *tables, const struct err *why)
{
    struct err said = *why;

    page_tables_drop(tables);
    if (tables->warned)
        return;
    tables->warned = true;
    err_prefix(&said, "shipping goes on, but a crash costs the upload of a new base");
    tables->warn(tables->warn_context, said.text);
}

/* --- carrying out a journal -------------------------------------------------------------------------- */

/* The table of the run before stays open. */
struct redo {
    int directory_fd;
    int fd;
    char path[PAGE_TABLE_PATH_SIZE];
};

static bool open_table(struct redo *redo, const struct page_journal_run *run, struct err *err)
{
    char path[PAGE_TABLE_PATH_SIZE];

    page_table_path(run->database, run->incarnation, path);
    if (redo->fd >= 0 && strcmp(path, redo->path) == 0)
        return true;
    close_fdp(&redo->fd);
    redo->fd = -1;
    memcpy(redo->path, path, sizeof(path));
    return page_table_open(redo->directory_fd, path, &redo->fd, err);
}

static bool redo_run(void *context, const struct page_journal_run *run, struct err *err)
{
    struct redo *redo = context;
    uint32_t count;

    if (!open_table(redo, run, err))
        return false;
    for (uint32_t at = 0; at < run->count; at += count) {
        count = 1;
        while (at + count < run->count && run->pages[at + count] == run->pages[at] + count)
            count++;
        if (!page_table_write(redo->fd, run->pages[at], run->hashes + at, count, err))
            return false;
    }
    return page_table_resize(redo->fd, run->pages_after, err);
}

static bool redo_journal(const struct page_tables *tables, struct err *err)
{
    struct redo redo = {.directory_fd = tables->directory_fd, .fd = -1};
    struct page_journal_visitor visitor = {redo_run, &redo};
    uint64_t position = 0;
    bool done = page_journal_read(tables->directory_fd, &visitor, &position, err);

    close_fdp(&redo.fd);
    return done;
}

/* --- at a start -------------------------------------------------------------------------------------- */

static bool follow_landed(const struct page_tables *tables, uint64_t data_position, struct err *err)
{
    static const struct page_journal_visitor nobody = {0};
    uint64_t position = 0;

    if (!page_journal_read(tables->directory_fd, &nobody, &position, err))
        return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT;
    return position != data_position || redo_journal(tables, err);
}

static bool is_right(const struct page_tables *tables, const struct manifest_database *database,
                     struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;
    uint64_t rolling = 0;

    return page_tables_open(tables, database, &fd, err) &&
           page_table_rolling(fd, database->pages, &rolling, err) && rolling == database->rolling_hash;
}

static bool is_kept(void *context, const char *path)
{
    const struct manifest *state = context;
    char table[PAGE_TABLE_PATH_SIZE];

    for (size_t at = 0; at < state->databases_count; at++) {
        page_table_path(state->databases[at].path, state->databases[at].incarnation, table);
        if (strcmp(table + sizeof(PAGE_TABLES_FOLDER), path) == 0)
            return true;
    }
    return strcmp(&PAGE_JOURNAL_PATH[sizeof(PAGE_TABLES_FOLDER)], path) == 0;
}

/* Tables of databases that came and went, or whose record never landed, before the process ended. */
static void remove_strays(const struct page_tables *tables, const struct manifest *state)
{
    CLEANUP(close_fdp) int fd = -1;
    struct err ignored = {0}; /* what is left is nobody's */

    if (fs_open_directory_beneath(tables->directory_fd, PAGE_TABLES_FOLDER, &fd, &ignored))
        (void)!walk_remove(fd, is_kept, (void *)(uintptr_t)state, &ignored);
}

void page_tables_load(struct page_tables *tables, const struct manifest *state, uint64_t data_position)
{
    struct err ignored = {0};
    bool right = follow_landed(tables, data_position, &ignored);

    for (size_t at = 0; right && at < state->databases_count; at++)
        right = is_right(tables, &state->databases[at], &ignored);
    if (right)
        remove_strays(tables, state);
    else
        page_tables_drop(tables);
    tables->work = right;
}

bool page_tables_open(const struct page_tables *tables, const struct manifest_database *database, int *ret_fd,
                      struct err *err)
{
    char path[PAGE_TABLE_PATH_SIZE];

    page_table_path(database->path, database->incarnation, path);
    return page_table_open(tables->directory_fd, path, ret_fd, err);
}

/* --- all anew ---------------------------------------------------------------------------------------- */

static bool has_right_hashes(const struct manifest *state)
{
    for (size_t at = 0; at < state->databases_count; at++) {
        const struct manifest_database *database = &state->databases[at];
        if (!database->hashes || database->hashes->count != database->pages ||
            page_hashes_rolling(database->hashes) != database->rolling_hash)
            return false;
    }
    return true;
}

static bool create_all(const struct page_tables *tables, const struct manifest *state, struct err *err)
{
    if (!fs_make_directories(tables->directory_fd, PAGE_TABLES_FOLDER, 0700, err))
        return false;
    for (size_t at = 0; at < state->databases_count; at++) {
        const struct manifest_database *database = &state->databases[at];
        char path[PAGE_TABLE_PATH_SIZE];
        page_table_path(database->path, database->incarnation, path);
        if (!page_table_create(tables->directory_fd, path, database->hashes, err))
            return false;
    }
    return true;
}

void page_tables_replace(struct page_tables *tables, struct manifest *state)
{
    bool right = has_right_hashes(state);
    struct err err = {0};

    page_tables_drop(tables);
    if (right && create_all(tables, state, &err))
        tables->work = true;
    else if (right)
        give_up(tables, &err);
    for (size_t at = 0; at < state->databases_count; at++) {
        page_hashes_free(state->databases[at].hashes);
        state->databases[at].hashes = NULL;
    }
}

/* --- one by one -------------------------------------------------------------------------------------- */

void page_tables_add(struct page_tables *tables, const char *path, uint64_t incarnation)
{
    struct page_hashes nothing = {0};
    char table[PAGE_TABLE_PATH_SIZE];
    struct err err = {0};

    page_table_path(path, incarnation, table);
    if (tables->work && !page_table_create(tables->directory_fd, table, &nothing, &err))
        give_up(tables, &err);
}

void page_tables_remove(struct page_tables *tables, const char *path, uint64_t incarnation)
{
    char table[PAGE_TABLE_PATH_SIZE];

    page_table_path(path, incarnation, table);
    if (tables->work)
        (void)unlinkat(tables->directory_fd, table, 0); /* what is left is nobody's */
}

/* --- with each record -------------------------------------------------------------------------------- */

struct page_journal *page_tables_begin(struct page_tables *tables, uint64_t position)
{
    if (!tables->work)
        return NULL;
    page_journal_begin(&tables->journal, tables->directory_fd, position);
    return &tables->journal;
}

void page_tables_seal(struct page_tables *tables)
{
    struct err err = {0};

    tables->waits = tables->work && tables->journal.is_open;
    if (tables->work && !page_journal_end(&tables->journal, &err))
        give_up(tables, &err);
}

void page_tables_commit(struct page_tables *tables)
{
    struct err err = {0};

    if (tables->work && tables->waits && !redo_journal(tables, &err))
        give_up(tables, &err);
    tables->waits = false;
}
