/* In which directories a follower begins, and in which it does not. */
#include "snapshot/standby_state.h"
#include "tests/double/following.h"
#include "tests/double/no_sync.h"
#include "tests/tap.h"

#include <fcntl.h>

TEST(a_directory_of_somebody_else_is_refused_and_left_alone)
{
    struct story story;
    struct following following = {0};

    story_begin(&story, 450);
    following.store = story.history.mem;
    scratch_open(&following.copy);
    scratch_write(following.copy.fd, "mine", "precious");
    EXPECT(following_is_kept_out(&following, "not empty"));
    EXPECT(!scratch_exists(following.copy.fd, ".holdfast"));
    scratch_write(following.copy.fd, ".holdfast/state", "of a run");
    EXPECT(following_is_kept_out(&following, "data directory"));
    EXPECT(!scratch_exists(following.copy.fd, ".holdfast/standby"));
    following_end(&following);
    story_end(&story);
}

TEST(two_followers_in_one_directory_are_one_too_many)
{
    struct story story;
    struct following following, second = {0};

    story_begin(&story, 451);
    following_begin(&following, story.history.mem);
    EXPECT(following_matches(&following, &story));
    second.store = following.store;
    second.copy = following.copy;
    EXPECT(following_is_kept_out(&second, "in use"));
    following_end(&following);
    story_end(&story);
}

TEST(a_backend_is_kept_away_from_a_copy_that_is_followed)
{
    struct story story;
    struct following following;
    struct err err = {0};
    struct scratch other;

    story_begin(&story, 452);
    following_begin(&following, story.history.mem);
    EXPECT(!standby_refuse(following.copy.fd, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    scratch_open(&other);
    EXPECT(standby_refuse(other.fd, &err));
    scratch_close(&other);
    following_end(&following);
    story_end(&story);
}

TEST(a_copy_that_somebody_changed_is_not_gone_on_with)
{
    struct story story;
    struct following following;
    char byte = 0;
    int fd;

    story_begin(&story, 453);
    following_begin(&following, story.history.mem);
    REQUIRE(following_matches(&following, &story));
    following_stop(&following);
    scratch_write(following.copy.fd, "db.sqlite3-wal", "");
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(!scratch_exists(following.copy.fd, "db.sqlite3-wal"));
    following_stop(&following);
    scratch_write(following.copy.fd, "db.sqlite3-wal", "frames");
    EXPECT(following_is_kept_out(&following, "db.sqlite3-wal"));
    REQUIRE(unlinkat(following.copy.fd, "db.sqlite3-wal", 0) == 0);
    fd = openat(following.copy.fd, "db.sqlite3", O_RDWR | O_CLOEXEC);
    REQUIRE(pread(fd, &byte, 1, 100) == 1);
    byte ^= 1;
    REQUIRE(pwrite(fd, &byte, 1, 100) == 1);
    EXPECT(following_is_kept_out(&following, "db.sqlite3"));
    byte ^= 1;
    REQUIRE(pwrite(fd, &byte, 1, 100) == 1);
    (void)close(fd);
    REQUIRE_OK(following_start(&following), &following.err);
    EXPECT(following_matches(&following, &story));
    following_end(&following);
    story_end(&story);
}

/* Somebody writes to the copy while it follows: the next delta doesn't fit, and nothing of it is kept. */
TEST(a_copy_that_changes_under_the_follower_begins_anew)
{
    struct story story;
    struct following following;
    static const uint8_t noise[65536] = {1, 2, 3};
    int fd;

    story_begin(&story, 454);
    following_begin(&following, story.history.mem);
    REQUIRE(following_matches(&following, &story));
    fd = openat(following.copy.fd, "db.sqlite3", O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    for (off_t at = 0; at < scratch_stat(following.copy.fd, "db.sqlite3").st_size; at += 512)
        REQUIRE(pwrite(fd, noise, 8, at) == 8);
    (void)close(fd);
    for (int step = 0; step < 8; step++)
        story_step(&story);
    EXPECT(following_matches(&following, &story));
    EXPECT_INT(following.warnings, 1);
    following_end(&following);
    story_end(&story);
}

TEST(a_store_without_a_base_is_told_as_such)
{
    struct history history;
    struct following following;

    history_begin(&history);
    following_begin(&following, history.mem);
    EXPECT(!following_advance(&following));
    EXPECT_INT(following.err.code, ERR_CONFIG);
    EXPECT(strstr(following.err.text, "no base") != NULL);
    following_end(&following);
    history_end(&history);
}

TAP_MAIN()
