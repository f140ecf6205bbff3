/* A disk that holds more than was shipped, where nothing right tells what its pages were, or what differs
 * can't be held: a new base, as if there had never been tables; and how there come to be tables again. */
#include "tests/unit/warm_life.h"

#include <dirent.h>
#include <unistd.h>

static void damage_tables(struct life *life, int how)
{
    struct err err = {0};
    DIR *folder;
    int fd = -1;

    if (how == 0) {
        EXPECT_OK(fs_remove_tree(life->disk.fd, ".holdfast/hashes", &err), &err);
        return;
    }
    EXPECT_OK(fs_open_directory(life->disk.fd, ".holdfast/hashes", &fd, &err), &err);
    folder = fdopendir(fd);
    for (struct dirent *entry; (entry = readdir(folder));) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 20);
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "journal") == 0)
            continue;
        EXPECT_OK(fs_read_file(fd, entry->d_name, &bytes, &err), &err);
        if (how == 1)
            bytes.bytes[bytes.size / 2] ^= 1;
        else
            bytes.size -= 8;
        EXPECT_INT(unlinkat(fd, entry->d_name, 0), 0);
        scratch_write_bytes(fd, entry->d_name, bytes.bytes, bytes.size);
    }
    (void)closedir(folder);
}

TEST(without_right_tables_a_new_base_takes_the_place_of_the_difference)
{
    for (int how = 0; how < 3; how++) {
        struct life life;
        REQUIRE(begin_with(&life, SMALL));
        REQUIRE(crash_with(&life, 5));
        damage_tables(&life, how);
        expect_base(&life);
        REQUIRE(life_commit(&life, 5)); /* … and it makes new ones */
        REQUIRE(life_settle(&life));
        REQUIRE(crash_with(&life, 5));
        expect_difference(&life, FEW_BYTES);
        expect_same(&life, "db.sqlite3");
        life_tear_down(&life);
    }
}

TEST(a_disk_that_holds_nothing_more_gets_its_tables_back)
{
    for (int how = 0; how < 3; how++) {
        struct life life;
        REQUIRE(begin_with(&life, SMALL));
        REQUIRE(life_commit(&life, 5));
        REQUIRE(life_settle(&life));
        crash(&life);
        damage_tables(&life, how);
        expect_difference(&life, 4096);
        REQUIRE(crash_with(&life, 5));
        expect_difference(&life, FEW_BYTES);
        expect_same(&life, "db.sqlite3");
        life_tear_down(&life);
    }
}

/* A spool that can't hold the difference: nothing is lost. */
TEST(a_difference_that_nothing_can_hold_becomes_a_base)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    lose_store(&life);
    REQUIRE(fill_database(&life, "db.sqlite3", 1500));
    crash(&life);
    life.config.spool_max_bytes = 1 << 20;
    expect_base(&life);
    expect_same(&life, "db.sqlite3");
    life_tear_down(&life);
}

/* It costs no more, and spares a restore the old ones. */
TEST(where_most_bytes_have_come_meanwhile_a_base_is_cut)
{
    struct life life;

    REQUIRE(begin_with(&life, SMALL));
    REQUIRE(crash_with(&life, 5));
    REQUIRE(fill_database(&life, "sub.sqlite3", 2 * SMALL));
    expect_base(&life);
    EXPECT_INT(life_value(life.disk.path), 6);
    expect_same(&life, "sub.sqlite3");
    life_tear_down(&life);
}

TAP_MAIN()
