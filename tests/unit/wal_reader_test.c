/* Logs made by hand, so that everything that may be wrong with one can be wrong. */
#include "snapshot/wal_reader.h"

#include "base/fs.h"
#include "tests/double/sample.h"
#include "tests/double/wal_sample.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { PAGE = 512 };

static const struct wal_file_header head = {.page_size = PAGE, .salt = {7, 0x89abcdef}};
static const struct wal_position beginning = {.salt = {7, 0x89abcdef}};

static int new_file(void)
{
    return open(sample_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* Three commits: pages 1 2; pages 3 2 1 with two versions of 2; pages 5 1. */
static void write_three(struct wal_sample_log *log, int fd, bool big_endian)
{
    struct wal_file_header header = head;

    header.big_endian = big_endian;
    wal_sample_log_begin(log, fd, &header);
    wal_sample_log_add(log, 1, 0, 11);
    wal_sample_log_add(log, 2, 2, 12);
    wal_sample_log_add(log, 2, 0, 22);
    wal_sample_log_add(log, 3, 0, 23);
    wal_sample_log_add(log, 2, 0, 24);
    wal_sample_log_add(log, 1, 3, 25);
    wal_sample_log_add(log, 5, 0, 35);
    wal_sample_log_add(log, 4, 0, 34);
    wal_sample_log_add(log, 1, 5, 31);
}

static bool is_filled(const uint8_t page[PAGE], uint8_t fill)
{
    return page[0] == fill && memcmp(page, page + 1, PAGE - 1) == 0;
}

static void expect_change(struct wal_reader *reader, const struct wal_commit *commit, size_t at,
                          uint32_t page, uint8_t fill)
{
    uint8_t bytes[PAGE] = {0};
    struct err err = {0};

    EXPECT_INT(commit->changes[at].page, page);
    EXPECT_OK(wal_reader_page(reader, commit->changes[at].frame, bytes, &err), &err);
    EXPECT(is_filled(bytes, fill));
}

static void read_three(bool big_endian)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    write_three(&log, fd, big_endian);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    REQUIRE_OK(wal_reader_next(&reader, 9, &commit, &err), &err);
    EXPECT_INT(commit.count, 2);
    EXPECT_INT(commit.end.frame, 2);
    REQUIRE_OK(wal_reader_next(&reader, 9, &commit, &err), &err);
    EXPECT_INT(commit.count, 3);
    EXPECT_INT(commit.pages_after, 3);
    expect_change(&reader, &commit, 0, 1, 25);
    expect_change(&reader, &commit, 1, 2, 24);
    expect_change(&reader, &commit, 2, 3, 23);
    REQUIRE_OK(wal_reader_next(&reader, 9, &commit, &err), &err);
    EXPECT_INT(commit.count, 3);
    expect_change(&reader, &commit, 1, 4, 34);
    EXPECT(memcmp(commit.end.checksum, log.checksum, sizeof(log.checksum)) == 0);
}

TEST(commits_come_in_order_with_the_newest_frame_of_each_page)
{
    read_three(false);
}

TEST(a_log_made_on_a_machine_of_the_other_byte_order_is_read)
{
    read_three(true);
}

TEST(reading_goes_on_behind_a_known_frame)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct wal_position middle;
    struct err err = {0};

    write_three(&log, fd, false);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    REQUIRE_OK(wal_reader_next(&reader, 6, &commit, &err), &err);
    middle = commit.end;
    REQUIRE_OK(wal_reader_begin(&reader, &middle, &err), &err);
    REQUIRE_OK(wal_reader_next(&reader, 6, &commit, &err), &err);
    EXPECT_INT(commit.end.frame, 6);
    middle.checksum[1] ^= 1;
    REQUIRE_OK(wal_reader_begin(&reader, &middle, &err), &err);
    EXPECT(!wal_reader_next(&reader, 6, &commit, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

/* What lies behind the limit may be half of a transaction, or left over: it is not even read. */
TEST(nothing_behind_the_limit_is_looked_at)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    write_three(&log, fd, false);
    REQUIRE(ftruncate(fd, (off_t)wal_file_frame_offset(7, PAGE)) == 0);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    EXPECT_OK(wal_reader_next(&reader, 6, &commit, &err), &err);
    EXPECT_OK(wal_reader_next(&reader, 6, &commit, &err), &err);
    EXPECT(!wal_reader_next(&reader, 9, &commit, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(a_limit_inside_a_transaction_is_refused)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    write_three(&log, fd, false);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    EXPECT_OK(wal_reader_next(&reader, 5, &commit, &err), &err);
    EXPECT(!wal_reader_next(&reader, 5, &commit, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(reader.position.frame, 2);
}

/* How many commits are read before the damage is noticed. */
static unsigned commits_before_error(int fd, struct err *err)
{
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_commit commit;
    unsigned commits = 0;

    wal_reader_init(&reader, fd, PAGE);
    if (!wal_reader_begin(&reader, &beginning, err))
        return 0;
    while (commits < 3 && wal_reader_next(&reader, 9, &commit, err))
        commits++;
    return commits;
}

TEST(every_flipped_bit_is_noticed_before_its_commit_is_read)
{
    CLEANUP(close_fdp) int fd = new_file();
    struct wal_sample_log log;
    uint64_t size = wal_file_frame_offset(10, PAGE);
    unsigned wrong = 0;

    write_three(&log, fd, false);
    for (uint64_t at = 0; at < size; at++) {
        uint64_t commit = at < wal_file_frame_offset(3, PAGE)   ? 0
                          : at < wal_file_frame_offset(7, PAGE) ? 1
                                                                : 2;
        uint8_t byte = 0;
        struct err err = {0};
        REQUIRE_OK(fs_read_at(fd, &byte, 1, at, &err), &err);
        byte ^= (uint8_t)(1 << at % 8);
        REQUIRE_OK(fs_write_at(fd, &byte, 1, at, &err), &err);
        wrong += commits_before_error(fd, &err) != commit || err.code == ERR_NONE;
        byte ^= (uint8_t)(1 << at % 8);
        REQUIRE_OK(fs_write_at(fd, &byte, 1, at, &err), &err);
    }
    EXPECT_INT(wrong, 0);
    EXPECT_INT(commits_before_error(fd, &(struct err){0}), 3);
}

TEST(another_log_or_page_size_is_refused)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_position other = {.salt = {8, 0x89abcdef}};
    struct wal_sample_log log;
    struct err err = {0};

    wal_reader_init(&reader, fd, PAGE);
    EXPECT(!wal_reader_begin(&reader, &beginning, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    write_three(&log, fd, false);
    EXPECT(!wal_reader_begin(&reader, &other, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    wal_reader_init(&reader, fd, 2 * PAGE);
    EXPECT(!wal_reader_begin(&reader, &beginning, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
}

/* A page left over from the log before is no part of this one, although its checksum may be right there. */
TEST(a_frame_of_the_log_before_is_refused)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    struct wal_file_header restarted = head;
    struct wal_position start = {.salt = {8, 0x1234}};
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    write_three(&log, fd, false);
    memcpy(restarted.salt, start.salt, sizeof(start.salt));
    wal_sample_log_begin(&log, fd, &restarted);
    wal_sample_log_add(&log, 1, 5, 1);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &start, &err), &err);
    EXPECT_OK(wal_reader_next(&reader, 9, &commit, &err), &err);
    EXPECT(!wal_reader_next(&reader, 9, &commit, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(pages_that_the_commit_cut_off_and_the_lock_byte_page_are_left_out)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    enum { LOCK_PAGE = (1 << 30) / PAGE + 1 };
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    wal_sample_log_begin(&log, fd, &head);
    wal_sample_log_add(&log, 9, 0, 9);
    wal_sample_log_add(&log, 4, 0, 4);
    wal_sample_log_add(&log, 1, 4, 1);
    wal_sample_log_add(&log, LOCK_PAGE, 0, 4);
    wal_sample_log_add(&log, LOCK_PAGE + 1, LOCK_PAGE + 1, 1);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    REQUIRE_OK(wal_reader_next(&reader, 5, &commit, &err), &err);
    REQUIRE(commit.count == 2);
    expect_change(&reader, &commit, 1, 4, 4);
    REQUIRE_OK(wal_reader_next(&reader, 5, &commit, &err), &err);
    REQUIRE(commit.count == 1);
    EXPECT_INT(commit.changes[0].page, LOCK_PAGE + 1);
}

/* 3000 frames are more than are read at once. */
TEST(a_commit_larger_than_what_is_read_at_once_comes_whole)
{
    CLEANUP(close_fdp) int fd = new_file();
    CLEANUP(wal_reader_clearp) struct wal_reader reader = {0};
    enum { FRAMES = 3000 };
    struct wal_sample_log log;
    struct wal_commit commit = {0};
    struct err err = {0};

    wal_sample_log_begin(&log, fd, &head);
    for (uint32_t frame = 1; frame <= FRAMES; frame++)
        wal_sample_log_add(&log, FRAMES + 1 - frame, frame == FRAMES ? FRAMES : 0, (uint8_t)frame);
    wal_reader_init(&reader, fd, PAGE);
    REQUIRE_OK(wal_reader_begin(&reader, &beginning, &err), &err);
    REQUIRE_OK(wal_reader_next(&reader, FRAMES, &commit, &err), &err);
    REQUIRE(commit.count == FRAMES);
    for (uint32_t at = 0; at < FRAMES; at++)
        expect_change(&reader, &commit, at, at + 1, (uint8_t)(FRAMES - at));
    wal_reader_trim(&reader);
    EXPECT(reader.changes == NULL && reader.window.bytes == NULL);
}

TAP_MAIN()
