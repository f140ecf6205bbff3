/* Databases that are born between the look and the reading, by what SQLite leaves on the disk meanwhile: the
 * first transaction may fill the file before it begins like a database, and each has a journal beside it. */
#include "tests/double/changing.h"
#include "tests/double/scanning.h"
#include "tests/tap.h"

#include <fcntl.h>

#define SHIP_SEEN(changing, seen)                                     \
    do {                                                              \
        struct err err_;                                              \
        REQUIRE_OK(changing_ship_seen(changing, seen, &err_), &err_); \
    } while (0)

static const char pages[1024] = MAGIC;
static const char first_pages[1024] = "";

static void begin(struct changing *changing)
{
    changing_open(changing);
    changing->final = false;
}

static void write_pages(const struct changing *changing, const char *path, const char *bytes)
{
    scratch_write_bytes(changing->disk.fd, path, bytes, sizeof(pages));
}

static bool copy_has(const struct changing *changing, const char *path, const char *text)
{
    CLEANUP(freep) char *found = scratch_read(changing->copy.fd, path);

    return found && strcmp(found, text) == 0;
}

/* It was seen as a file, and is kept for the commit that may name it. */
TEST(one_that_has_vanished_is_no_file)
{
    CLEANUP(globs_freep) struct globs *names = globs("*");
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;

    begin(&changing);
    changing.database_names = names;
    write_pages(&changing, "db", first_pages);
    scratch_write(changing.disk.fd, "file", "seen");
    seen = changing_look(&changing);
    pending_hold(changing.pending, seen, changing.previous);
    tree_free(seen);
    write_pages(&changing, "db", pages);
    REQUIRE(unlinkat(changing.disk.fd, "db", 0) == 0 && unlinkat(changing.disk.fd, "file", 0) == 0);
    SHIP_SEEN(&changing, changing_look(&changing));
    EXPECT(copy_has(&changing, "file", "seen"));
    EXPECT(!scratch_exists(changing.copy.fd, "db"));
}

/* In the record the file is still what the first transaction had written of it; only that one's own journal
 * undoes this. */
TEST(a_later_journal_of_it_is_not_taken)
{
    CLEANUP(changing_close) struct changing changing;
    struct tree *seen;

    begin(&changing);
    write_pages(&changing, "db", first_pages);
    scratch_write(changing.disk.fd, "db-journal", "of the first transaction");
    SHIP_SEEN(&changing, changing_look(&changing));
    scratch_write(changing.disk.fd, "db-journal", "of the first transaction, longer");
    seen = changing_look(&changing);
    write_pages(&changing, "db", pages);
    scratch_write(changing.disk.fd, "db-journal", "of the second");
    SHIP_SEEN(&changing, seen);
    EXPECT(copy_has(&changing, "db-journal", "of the first transaction"));
    EXPECT_INT(changing.changes.left, 1);
}

/* Without its journal it would be no database for anybody, and the two are not read at once. */
TEST(pages_of_a_first_transaction_are_not_taken)
{
    static const char magic[] = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
    CLEANUP(changing_close) struct changing changing;

    begin(&changing);
    write_pages(&changing, "db", first_pages);
    write_pages(&changing, "zeros", first_pages);
    write_pages(&changing, "other", first_pages);
    scratch_write(changing.disk.fd, "db-journal", magic);
    scratch_write(changing.disk.fd, "other-journal", "a file");
    SHIP_SEEN(&changing, changing_look(&changing));
    EXPECT(!scratch_exists(changing.copy.fd, "db"));
    EXPECT(scratch_exists(changing.copy.fd, "zeros") && scratch_exists(changing.copy.fd, "other"));
    EXPECT(copy_has(&changing, "other-journal", "a file"));
    REQUIRE(unlinkat(changing.disk.fd, "db", 0) == 0 && unlinkat(changing.disk.fd, "db-journal", 0) == 0);
    SHIP_SEEN(&changing, changing_look(&changing));
    EXPECT(!scratch_exists(changing.copy.fd, "db"));
}

TAP_MAIN()
