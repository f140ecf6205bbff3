#include "tests/double/scanning.h"

#include "base/walk.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

TEST(an_empty_directory_gives_an_empty_tree)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    EXPECT_SCAN(scratch.fd, "", "*", "|");
}

TEST(files_directories_and_symlinks_are_in_the_tree)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    const struct timespec times[2] = {{0, 0}, {1700000000, 123456789}};
    struct tree_entry *entry;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "storage/files/a.blob", "hello");
    scratch_symlink(scratch.fd, "a.blob", "storage/files/link");
    REQUIRE(fchmodat(scratch.fd, "storage/files/a.blob", 0640, 0) == 0);
    REQUIRE(utimensat(scratch.fd, "storage/files/a.blob", times, 0) == 0);
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    EXPECT_INT(tree_count(result.tree), 4);

    entry = tree_find(result.tree, "storage/files/a.blob");
    REQUIRE(entry);
    EXPECT_INT(entry->kind, ENTRY_FILE);
    EXPECT_INT(entry->content, CONTENT_NONE);
    EXPECT_INT(entry->size, 5);
    EXPECT_INT(entry->mode, 0640);
    EXPECT_INT(entry->uid, getuid());
    EXPECT_INT(entry->mtime_ns, INT64_C(1700000000123456789));
    EXPECT_INT(entry->inode, scratch_stat(scratch.fd, "storage/files/a.blob").st_ino);
    EXPECT(entry->ctime_ns > entry->mtime_ns);

    entry = tree_find(result.tree, "storage/files/link");
    REQUIRE(entry);
    EXPECT_INT(entry->kind, ENTRY_SYMLINK);
    EXPECT_STR(tree_target(result.tree, entry), "a.blob");
    EXPECT_INT(entry->size, 6);

    entry = tree_find(result.tree, "storage");
    REQUIRE(entry);
    EXPECT_INT(entry->kind, ENTRY_DIRECTORY);
    EXPECT_INT(entry->size, 0);
}

TEST(a_file_with_sqlites_magic_is_a_database)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    scratch_open(&scratch);
    write_database(scratch.fd, "sub/db");
    scratch_write(scratch.fd, "short", MAGIC);
    scratch_write_bytes(scratch.fd, "other", (char[512]){"SQLite format 2"}, 512);
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    REQUIRE(result.databases_count == 1);
    EXPECT_STR(result.databases[0].path, "sub/db");
    EXPECT_INT(result.databases[0].inode, scratch_stat(scratch.fd, "sub/db").st_ino);
    EXPECT_INT(result.databases[0].device, scratch_stat(scratch.fd, "sub/db").st_dev);
    EXPECT(tree_find(result.tree, "sub/db") == NULL);
    EXPECT(tree_find(result.tree, "short") != NULL);
    EXPECT(tree_find(result.tree, "other") != NULL);
}

TEST(a_database_torn_in_mid_page_is_one_if_its_journal_is_there)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write_bytes(scratch.fd, "torn", sqlite_bytes, 500);
    scratch_write(scratch.fd, "torn-journal", "pages");
    scratch_write_bytes(scratch.fd, "stray", sqlite_bytes, 500);
    EXPECT_SCAN(scratch.fd, "", "*", "stray | torn");
}

TEST(databases_are_in_ascending_order)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "z");
    write_database(scratch.fd, "a/z");
    write_database(scratch.fd, "a.db");
    write_database(scratch.fd, "a/b/c");
    EXPECT_SCAN(scratch.fd, "", "*", "a a/b | a.db a/b/c a/z z");
}

TEST(side_files_of_a_database_are_left_out)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "db");
    write_database(scratch.fd, "db-backup");
    scratch_write(scratch.fd, "db-wal", "frames");
    scratch_write(scratch.fd, "db-shm", "index");
    scratch_write(scratch.fd, "db-journal", "pages");
    scratch_write(scratch.fd, "db-backup-wal", "frames");
    scratch_write(scratch.fd, "db-walnut", "kept");
    EXPECT_SCAN(scratch.fd, "", "*", "db-walnut | db db-backup");
}

TEST(names_that_only_look_like_side_files_are_files)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "notes", "text");
    scratch_write(scratch.fd, "notes-journal", "mine");
    scratch_write(scratch.fd, "alone-wal", "no stem");
    scratch_write(scratch.fd, "-wal", "no stem at all");
    scratch_mkdir(scratch.fd, "dir");
    scratch_write(scratch.fd, "dir-shm", "beside a directory");
    EXPECT_SCAN(scratch.fd, "", "*", "-wal alone-wal dir dir-shm notes notes-journal |");
}

/* Without what is in there the file alone is not what was committed. */
TEST(a_database_that_may_not_be_followed_is_told_of_if_something_is_in_its_log_or_journal)
{
    static const char hot[] = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and so on";
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "a");
    write_database(scratch.fd, "b");
    write_database(scratch.fd, "c");
    write_database(scratch.fd, "d");
    scratch_write(scratch.fd, "a-wal", "frames");
    scratch_write(scratch.fd, "b-wal", "");
    scratch_write_bytes(scratch.fd, "c-journal", hot, sizeof(hot));
    scratch_write_bytes(scratch.fd, "d-journal", (char[100]){0}, 100);
    EXPECT_SCAN(scratch.fd, "", "none", "a b c d | a+ c+");
    EXPECT_SCAN(scratch.fd, "", "a:d", "b c | a c+ d");
}

TEST(a_wal_beside_what_is_no_database_is_named)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "a/new", "");
    scratch_write(scratch.fd, "a/new-wal", "its database is still empty");
    scratch_write(scratch.fd, "b/secret.db", "encrypted: no magic");
    scratch_write(scratch.fd, "b/secret.db-wal", "frames");
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    EXPECT_STR(result.orphan_wal, "b/secret.db");
    EXPECT(tree_find(result.tree, "b/secret.db") && tree_find(result.tree, "b/secret.db-wal"));
    EXPECT(tree_find(result.tree, "a/new"));
}

TEST(a_database_that_may_not_be_followed_ships_as_a_file_without_its_side_files)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "app.db");
    scratch_write(scratch.fd, "app.db-wal", "frames");
    write_database(scratch.fd, "other.sqlite");
    scratch_write(scratch.fd, "other.sqlite-wal", "frames");
    EXPECT_SCAN(scratch.fd, "", "*.db", "other.sqlite | app.db other.sqlite+");
}

TEST(a_database_that_may_not_be_written_is_a_file)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "db");
    REQUIRE(fchmodat(scratch.fd, "db", 0444, 0) == 0);
    REQUIRE(fchmod(scratch.fd, 0755) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT_SCAN(scratch.fd, "", "*", "db |");
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
}

TEST(excluded_paths_and_what_is_below_them_are_left_out)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "tmp/a", "");
    scratch_write(scratch.fd, "deep/tmp/b", "");
    scratch_write(scratch.fd, "deep/cache/c", "");
    scratch_write(scratch.fd, "cache/kept", "");
    write_database(scratch.fd, "deep/tmp/db");
    EXPECT_SCAN(scratch.fd, "tmp:deep/cache", "*", "cache cache/kept deep |");
}

TEST(an_excluded_directory_is_not_entered)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "locked/secret", "");
    REQUIRE(fchmodat(scratch.fd, "locked", 0, 0) == 0);
    REQUIRE(fchmod(scratch.fd, 0755) == 0);
    REQUIRE(geteuid() != 0 || seteuid(65534) == 0);
    EXPECT_SCAN(scratch.fd, "locked", "*", "|");
    REQUIRE(getuid() != 0 || seteuid(0) == 0);
    REQUIRE(fchmodat(scratch.fd, "locked", 0700, 0) == 0);
}

TEST(an_excluded_database_excludes_its_side_files)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    write_database(scratch.fd, "cache.db");
    scratch_write(scratch.fd, "cache.db-wal", "frames");
    scratch_write(scratch.fd, "notes", "excluded, but no database");
    scratch_write(scratch.fd, "notes-journal", "a file of its own");
    EXPECT_SCAN(scratch.fd, "cache.db:notes", "*", "notes-journal |");
}

TEST(our_own_folder_and_lost_and_found_are_left_out_at_the_top_only)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write(scratch.fd, ".holdfast/state", "");
    scratch_write(scratch.fd, "lost+found/1", "");
    scratch_write(scratch.fd, ".holdfast2", "");
    scratch_write(scratch.fd, "a/lost+found", "");
    EXPECT_SCAN(scratch.fd, "", "*", ".holdfast2 a a/lost+found |");
}

TEST(sockets_fifos_and_devices_are_counted_and_one_is_named)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct err err;

    scratch_open(&scratch);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/b.sock", scratch.path);
    REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    REQUIRE(mkfifoat(scratch.fd, "a.fifo", 0600) == 0);
    scratch_write(scratch.fd, "c", "");
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    EXPECT_INT(result.skipped, 2);
    EXPECT_STR(result.skipped_example, "a.fifo");
    EXPECT_INT(tree_count(result.tree), 1);
}

TEST(hard_links_are_entries_of_their_own)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct tree_entry *one, *other;
    struct err err;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "one", "same");
    REQUIRE(linkat(scratch.fd, "one", scratch.fd, "other", 0) == 0);
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    one = tree_find(result.tree, "one");
    other = tree_find(result.tree, "other");
    REQUIRE(one && other);
    EXPECT_INT(one->inode, other->inode);
}

TEST(symlinks_are_never_followed)
{
    CLEANUP(scratch_closep) struct scratch scratch;

    scratch_open(&scratch);
    scratch_write(scratch.fd, "outside/file", "");
    write_database(scratch.fd, "outside/db");
    scratch_symlink(scratch.fd, "../outside", "data/dir");
    scratch_symlink(scratch.fd, "../outside/db", "data/db");
    scratch_symlink(scratch.fd, "nowhere", "data/dangling");
    scratch_symlink(scratch.fd, "loop", "data/loop");
    {
        CLEANUP(close_fdp) int fd = openat(scratch.fd, "data", O_RDONLY | O_DIRECTORY);
        EXPECT_SCAN(fd, "", "*", "dangling db dir loop |");
    }
}

TEST(names_are_any_bytes)
{
    CLEANUP(scratch_closep) struct scratch scratch;
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    char longest[WALK_NAME_MAX + 1];
    struct err err;

    scratch_open(&scratch);
    memset(longest, 'n', WALK_NAME_MAX);
    longest[WALK_NAME_MAX] = '\0';
    memcpy(longest + WALK_NAME_MAX - 4, "-wal", 4);
    scratch_write(scratch.fd, "\xff\xfe\x80", "");
    scratch_write(scratch.fd, "new\nline\t", "");
    scratch_write(scratch.fd, longest, "");
    REQUIRE_OK(scan(scratch.fd, "", "*", &result, &err), &err);
    EXPECT_INT(tree_count(result.tree), 3);
    EXPECT(tree_find(result.tree, "\xff\xfe\x80"));
    EXPECT(tree_find(result.tree, "new\nline\t"));
    EXPECT(tree_find(result.tree, longest));
}

static bool is_known_as_none(void *context, const char *path, const struct stat *status)
{
    return strcmp(path, context) == 0 && status->st_size == sizeof(sqlite_bytes);
}

TEST(what_is_known_to_be_no_database_is_a_plain_file_unless_something_is_in_a_log_beside_it)
{
    static const char *const wanted[] = {"odd.db | other.db", "| odd.db other.db"};
    CLEANUP(globs_freep) struct globs *none = globs("");
    CLEANUP(globs_freep) struct globs *all = globs("*");
    CLEANUP(scratch_closep) struct scratch scratch;
    struct scan_options options = {
        .exclude = none, .databases = all, .is_no_database = is_known_as_none, .context = (char[]){"odd.db"}};
    struct err err;

    scratch_open(&scratch);
    write_database(scratch.fd, "odd.db");
    write_database(scratch.fd, "other.db");
    scratch_write(scratch.fd, "odd.db-wal", "");
    for (size_t at = 0; at < 2; at++) {
        CLEANUP(scan_result_clearp) struct scan_result result = {0};
        CLEANUP(buf_clearp) struct buf text = BUF_INIT(4096);
        REQUIRE_OK(scan_directory(scratch.fd, &options, &result, &err), &err);
        list(&result, &text);
        EXPECT_STR(buf_text(&text), wanted[at]);
        scratch_write(scratch.fd, "odd.db-wal", "frames");
    }
}

TAP_MAIN()
