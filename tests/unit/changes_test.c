/* What goes into a record for each kind of change. */
#include "base/fs.h"
#include "tests/double/changing.h"
#include "tests/double/replica.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PIECE = TREE_PIECE_SIZE };

static void write_at(int directory_fd, const char *path, off_t offset, const char *text)
{
    CLEANUP(close_fdp) int fd = openat(directory_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    EXPECT(pwrite(fd, text, strlen(text), offset) == (ssize_t)strlen(text));
}

#define EXPECT_RECORD(changing, wanted_puts, wanted_gones, wanted_blobs) \
    do {                                                                 \
        SHIP(changing);                                                  \
        EXPECT_INT((changing)->changes.puts, (wanted_puts));             \
        EXPECT_INT((changing)->changes.gones, (wanted_gones));           \
        EXPECT_INT((changing)->changes.blobs_uploaded, (wanted_blobs));  \
        EXPECT_INT((changing)->changes.left, 0);                         \
        EXPECT_STR((changing)->changes.failed, "");                      \
        EXPECT(changing_is_equal(changing));                             \
    } while (0)

TEST(an_empty_directory_changes_nothing)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    EXPECT_RECORD(&changing, 0, 0, 0);
    EXPECT_INT(changing.changes.sections.size, 0);
}

TEST(new_entries_of_every_kind_are_put)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    scratch_write(changing.disk.fd, "directory/file", "content");
    scratch_write(changing.disk.fd, "empty", "");
    scratch_write(changing.disk.fd, "names/\xff\xfe \n", "no text");
    scratch_mkdir(changing.disk.fd, "nothing in it");
    scratch_symlink(changing.disk.fd, "no/where", "symlink");
    EXPECT_RECORD(&changing, 7, 0, 0);
    EXPECT_INT(store_mem_count(changing.mem, ""), 0); /* small files need no object */
    EXPECT_RECORD(&changing, 0, 0, 0);
}

TEST(what_changed_is_put_again_and_nothing_else)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    scratch_write(changing.disk.fd, "content", "before");
    scratch_write(changing.disk.fd, "mode", "x");
    scratch_write(changing.disk.fd, "same", "x");
    scratch_mkdir(changing.disk.fd, "directory");
    scratch_symlink(changing.disk.fd, "before", "symlink");
    EXPECT_RECORD(&changing, 5, 0, 0);
    scratch_write(changing.disk.fd, "content", "behind"); /* of the same size */
    REQUIRE(fchmodat(changing.disk.fd, "mode", 04711, 0) == 0);
    REQUIRE(fchmodat(changing.disk.fd, "directory", 0711, 0) == 0);
    REQUIRE(unlinkat(changing.disk.fd, "symlink", 0) == 0);
    scratch_symlink(changing.disk.fd, "behind", "symlink");
    EXPECT_RECORD(&changing, 4, 0, 0);
}

TEST(a_write_that_hides_behind_its_time_is_found)
{
    CLEANUP(changing_close) struct changing changing;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};

    changing_open(&changing);
    scratch_write(changing.disk.fd, "file", "before");
    REQUIRE(utimensat(changing.disk.fd, "file", times, 0) == 0);
    EXPECT_RECORD(&changing, 1, 0, 0);
    scratch_write(changing.disk.fd, "file", "behind");
    REQUIRE(utimensat(changing.disk.fd, "file", times, 0) == 0);
    EXPECT_RECORD(&changing, 1, 0, 0);
}

TEST(a_directory_that_is_gone_takes_along_what_was_in_it)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    changing_open(&changing);
    scratch_write(changing.disk.fd, "a/b/c", "x");
    scratch_write(changing.disk.fd, "a/d", "x");
    scratch_write(changing.disk.fd, "a-", "x"); /* between "a" and "a/b" in order */
    SHIP(&changing);
    REQUIRE_OK(fs_remove_tree(changing.disk.fd, "a", &err), &err);
    EXPECT_RECORD(&changing, 0, 1, 0);
}

TEST(what_took_the_place_of_another_kind_is_put_after_a_gone)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    changing_open(&changing);
    scratch_write(changing.disk.fd, "a/b/c", "x");
    scratch_write(changing.disk.fd, "file", "x");
    SHIP(&changing);
    REQUIRE_OK(fs_remove_tree(changing.disk.fd, "a", &err), &err);
    REQUIRE(unlinkat(changing.disk.fd, "file", 0) == 0);
    scratch_write(changing.disk.fd, "a", "a file now");
    scratch_write(changing.disk.fd, "file/in", "a directory now");
    EXPECT_RECORD(&changing, 3, 0, 0);
}

TEST(a_renamed_file_keeps_its_blobs)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    write_at(changing.disk.fd, "old", 40000, "large");
    EXPECT_RECORD(&changing, 1, 0, 1);
    REQUIRE(renameat(changing.disk.fd, "old", changing.disk.fd, "new") == 0);
    EXPECT_RECORD(&changing, 1, 1, 0);
    EXPECT_INT(changing.changes.dropped.count, 0);
}

TEST(of_a_large_file_only_the_pieces_that_changed_are_uploaded)
{
    CLEANUP(changing_close) struct changing changing;
    struct blob_name first;

    changing_open(&changing);
    write_at(changing.disk.fd, "large", 5, "first");
    write_at(changing.disk.fd, "large", (off_t)PIECE + 5, "second");
    write_at(changing.disk.fd, "large", (off_t)3 * PIECE + 5, "after a hole");
    EXPECT_RECORD(&changing, 1, 0, 3);
    first.tag = tree_pieces(changing.previous, tree_at(changing.previous, 0))[0].tag;
    first.content = tree_pieces(changing.previous, tree_at(changing.previous, 0))[0].content;
    EXPECT_INT(first.tag, 2);
    write_at(changing.disk.fd, "large", 5, "FIRST");
    EXPECT_RECORD(&changing, 1, 0, 1);
    REQUIRE(changing.changes.dropped.count == 1);
    EXPECT(memcmp(&changing.changes.dropped.list[0], &first, sizeof(first)) == 0);
    REQUIRE(unlinkat(changing.disk.fd, "large", 0) == 0);
    EXPECT_RECORD(&changing, 0, 1, 0);
    EXPECT_INT(changing.changes.dropped.count, 3);
}

TEST(a_blob_that_another_file_names_is_not_dropped)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    write_at(changing.disk.fd, "one", 40000, "the same");
    SHIP(&changing);
    write_at(changing.disk.fd, "other", 40000, "the same");
    EXPECT_RECORD(&changing, 1, 0, 0);
    REQUIRE(unlinkat(changing.disk.fd, "one", 0) == 0);
    EXPECT_RECORD(&changing, 0, 1, 0);
    EXPECT_INT(changing.changes.dropped.count, 0);
    EXPECT_INT(store_mem_count(changing.mem, "blob/"), 1);
}

/* A DELETE of the first one may still be on its way (protocol.md, H4). */
TEST(content_that_comes_back_gets_another_blob)
{
    CLEANUP(changing_close) struct changing changing;
    struct blob_name first;

    changing_open(&changing);
    write_at(changing.disk.fd, "large", 40000, "the same");
    EXPECT_RECORD(&changing, 1, 0, 1);
    REQUIRE(unlinkat(changing.disk.fd, "large", 0) == 0);
    EXPECT_RECORD(&changing, 0, 1, 0);
    REQUIRE(changing.changes.dropped.count == 1);
    first = changing.changes.dropped.list[0];
    write_at(changing.disk.fd, "large", 40000, "the same");
    EXPECT_RECORD(&changing, 1, 0, 1);
    EXPECT_INT(store_mem_count(changing.mem, "blob/"), 2);
    REQUIRE(unlinkat(changing.disk.fd, "large", 0) == 0);
    EXPECT_RECORD(&changing, 0, 1, 0);
    REQUIRE(changing.changes.dropped.count == 1);
    EXPECT(digest_equal(&changing.changes.dropped.list[0].content, &first.content));
    EXPECT(changing.changes.dropped.list[0].tag > first.tag);
}

TEST(a_large_file_that_was_read_in_vain_is_in_no_record)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    write_at(changing.disk.fd, "large", 40000, "content");
    SHIP(&changing);
    REQUIRE(linkat(changing.disk.fd, "large", changing.disk.fd, "l", 0) == 0); /* another ctime */
    REQUIRE(unlinkat(changing.disk.fd, "l", 0) == 0);
    EXPECT_RECORD(&changing, 0, 0, 0);
    EXPECT_INT(changing.changes.sections.size, 0);
    EXPECT_INT(store_fault_count(changing.faulty, "put", NULL), 1);
}

TEST(what_does_not_fit_goes_into_blobs_and_the_record_is_whole)
{
    CLEANUP(changing_close) struct changing changing;
    char path[16];

    changing_open(&changing);
    for (int at = 0; at < 50; at++) {
        (void)snprintf(path, sizeof(path), "file%02d", at);
        scratch_write(changing.disk.fd, path, path);
    }
    changing.body_max = 50 * (96 + 6 + 45) + 100;
    SHIP(&changing);
    EXPECT_INT(changing.changes.puts, 50);
    EXPECT(changing.changes.blobs_uploaded > 40 && changing.changes.blobs_uploaded < 50);
    EXPECT(changing_is_equal(&changing));
    REQUIRE(fchmodat(changing.disk.fd, "file49", 0604, 0) == 0); /* its blob is named again, not dropped */
    EXPECT_RECORD(&changing, 1, 0, 0);
}

TEST(more_than_a_record_can_name_wants_a_base)
{
    CLEANUP(changing_close) struct changing changing;
    char path[16];
    struct err err;

    changing_open(&changing);
    for (int at = 0; at < 50; at++) {
        (void)snprintf(path, sizeof(path), "file%02d", at);
        scratch_write(changing.disk.fd, path, path);
    }
    changing.body_max = 5000;
    EXPECT(!changing_ship(&changing, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT_INT(store_mem_count(changing.mem, ""), 0);
}

TEST(a_store_that_fails_is_tried_again_with_another_look)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    changing_open(&changing);
    store_fault_add(changing.faulty,
                    &(struct store_fault){.operation = "put", .times = 1, .code = ERR_TRANSIENT});
    write_at(changing.disk.fd, "large", 40000, "content");
    scratch_write(changing.disk.fd, "small", "content");
    EXPECT(!changing_ship(&changing, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT(strstr(err.text, "large") != NULL);
    EXPECT_RECORD(&changing, 2, 0, 1);
}

TEST(a_deletion_waits_and_so_does_its_directory)
{
    CLEANUP(changing_close) struct changing changing;
    struct err err;

    changing_open(&changing);
    changing.final = false;
    scratch_write(changing.disk.fd, "a/b/file", "content");
    scratch_mkdir(changing.disk.fd, "a/empty");
    SHIP(&changing);
    REQUIRE_OK(fs_remove_tree(changing.disk.fd, "a", &err), &err);
    SHIP(&changing);
    EXPECT_INT(changing.changes.gones, 1); /* a/empty */
    EXPECT(scratch_exists(changing.copy.fd, "a/b/file"));
    EXPECT(replica_is_listed(changing.copy.fd, changing.previous));
    changing.moment.now_ms += 60000;
    EXPECT_RECORD(&changing, 0, 1, 0);
}

TEST(a_file_that_comes_back_while_its_deletion_waits_is_put)
{
    CLEANUP(changing_close) struct changing changing;

    changing_open(&changing);
    changing.final = false;
    scratch_write(changing.disk.fd, "file", "old");
    SHIP(&changing);
    REQUIRE(unlinkat(changing.disk.fd, "file", 0) == 0);
    SHIP(&changing);
    scratch_write(changing.disk.fd, "file", "new");
    EXPECT_RECORD(&changing, 1, 0, 0);
    EXPECT_INT(changing.deletions.count, 0);
}

TAP_MAIN()
