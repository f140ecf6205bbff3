#include "snapshot/wal_file.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/double/sample.h"
#include "tests/double/wal_sample.h"
#include "tests/double/writer.h"
#include "tests/tap.h"

#include <fcntl.h>

TEST(what_is_written_is_read)
{
    struct wal_file_header header = {.page_size = 65536, .salt = {1, 0xfffffffe}}, read = {0};
    struct wal_frame_header frame = {1, 2, {3, 4}, {5, 0xffffffff}}, read_frame = {0};
    uint8_t bytes[WAL_FILE_HEADER_SIZE], frame_bytes[WAL_FRAME_HEADER_SIZE];
    struct err err = {0};

    for (unsigned big_endian = 0; big_endian < 2; big_endian++) {
        wal_sample_file_header(bytes, &header, big_endian);
        REQUIRE_OK(wal_file_parse_header(bytes, &read, &err), &err);
        EXPECT_INT(read.page_size, header.page_size);
        EXPECT(memcmp(read.salt, header.salt, sizeof(header.salt)) == 0);
        EXPECT_INT(read.big_endian, big_endian);
    }
    wal_sample_frame(frame_bytes, &frame);
    wal_file_parse_frame(frame_bytes, &read_frame);
    EXPECT(memcmp(&read_frame, &frame, sizeof(frame)) == 0);
}

TEST(every_flipped_bit_of_the_header_is_noticed)
{
    struct wal_file_header header = {.page_size = 4096, .salt = {0x12345678, 0x9abcdef0}};
    uint8_t bytes[WAL_FILE_HEADER_SIZE];
    struct err err = {0};

    wal_sample_file_header(bytes, &header, false);
    for (unsigned bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(!wal_file_parse_header(bytes, &header, &err) && err.code == ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(a_page_size_that_does_not_exist_is_refused)
{
    static const uint32_t sizes[] = {0, 256, 1000, 131072};
    uint8_t bytes[WAL_FILE_HEADER_SIZE];

    for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
        struct wal_file_header header = {.page_size = sizes[at]};
        struct err err = {0};
        wal_sample_file_header(bytes, &header, false);
        EXPECT(!wal_file_parse_header(bytes, &header, &err));
    }
}

TEST(frames_follow_each_other)
{
    EXPECT_INT(wal_file_frame_offset(1, 4096), 32);
    EXPECT_INT(wal_file_frame_offset(2, 4096), 32 + 4120);
    EXPECT_INT(wal_file_frame_offset(UINT32_MAX, 65536), 32 + (uint64_t)(UINT32_MAX - 1) * (65536 + 24));
}

/* The real thing: a log that an application left behind when it was killed. */
TEST(a_log_of_sqlite_s_is_read)
{
    struct writer writer = {0};
    struct writer_plan plan = writer_plan_for(sample_path("db"), 0);
    CLEANUP(close_fdp) int fd = -1;
    uint8_t bytes[WAL_FILE_HEADER_SIZE];
    struct wal_file_header header = {0};
    struct wal_frame_header frame = {0};
    struct err err = {0};

    (void)snprintf(plan.sql, sizeof(plan.sql), "PRAGMA journal_mode=WAL");
    REQUIRE(writer_start(&writer, &plan));
    REQUIRE(writer_wait(&writer, 3));
    writer_kill(&writer);
    fd = open(sample_path("db-wal"), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE_OK(fs_read_at(fd, bytes, sizeof(bytes), 0, &err), &err);
    REQUIRE_OK(wal_file_parse_header(bytes, &header, &err), &err);
    EXPECT_INT(header.page_size, 4096);
    REQUIRE_OK(fs_read_at(fd, bytes, WAL_FRAME_HEADER_SIZE, wal_file_frame_offset(1, header.page_size), &err),
               &err);
    wal_file_parse_frame(bytes, &frame);
    EXPECT_INT(frame.salt[0], header.salt[0]);
    EXPECT_INT(frame.salt[1], header.salt[1]);
    EXPECT(frame.page > 0);
}

TAP_MAIN()
