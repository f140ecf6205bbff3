/* Journals that are torn, damaged, of another record, or mixed with the one before. */
#include "tests/unit/page_tables_bench.h"

static void read_journal(const struct bench *bench, struct buf *bytes)
{
    struct err err = {0};

    REQUIRE_OK(fs_read_file(bench->disk.fd, PAGE_JOURNAL_PATH, bytes, &err), &err);
}

static void put_journal(const struct bench *bench, const void *bytes, size_t size)
{
    scratch_write_bytes(bench->disk.fd, PAGE_JOURNAL_PATH, bytes, size);
}

static bool is_whole(const struct bench *bench, uint64_t *ret_position)
{
    static const struct page_journal_visitor nobody = {0};
    struct err err = {0};
    bool read = page_journal_read(bench->disk.fd, &nobody, ret_position, &err);

    EXPECT(read || err.code == ERR_CORRUPT);
    return read;
}

TEST(a_journal_that_is_torn_or_damaged_at_any_byte_is_none)
{
    struct bench bench;
    CLEANUP(buf_clearp) struct buf whole = BUF_INIT(1 << 20);
    uint64_t position = 0;

    set_up(&bench, 40);
    build(&bench, 3);
    read_journal(&bench, &whole);
    EXPECT(is_whole(&bench, &position));
    EXPECT_INT(position, DATA + 1);
    for (size_t size = 0; size < whole.size; size++) {
        put_journal(&bench, whole.bytes, size);
        EXPECT(!is_whole(&bench, &position));
        whole.bytes[size] ^= 0x10;
        put_journal(&bench, whole.bytes, whole.size);
        EXPECT(!is_whole(&bench, &position));
        whole.bytes[size] ^= 0x10;
    }
    tear_down(&bench);
}

/* Written over in place: at each byte the new one may end and the old one go on. */
TEST(the_beginning_of_a_journal_and_the_end_of_another_are_none)
{
    struct bench bench;
    CLEANUP(buf_clearp) struct buf old = BUF_INIT(1 << 20), new = BUF_INIT(1 << 20);
    uint64_t position = 0;

    set_up(&bench, 40);
    build(&bench, 4);
    page_tables_commit(&bench.tables);
    read_journal(&bench, &old);
    for (int again = 0; again < 2; again++) {
        buf_reset(&new);
        build(&bench, 2);
        read_journal(&bench, &new);
        for (size_t size = 0; size < new.size &&size < old.size; size++) {
            CLEANUP(buf_clearp) struct buf mixed = BUF_INIT(1 << 20);
            bool says_old = memcmp(new.bytes, old.bytes, size) == 0;
            buf_add(&mixed, new.bytes, size);
            buf_add(&mixed, old.bytes + size, old.size - size);
            put_journal(&bench, mixed.bytes, mixed.size);
            EXPECT(is_whole(&bench, &position) == says_old);
        }
        bench.position -= 1; /* the same record once more: its first attempt came to nothing */
    }
    tear_down(&bench);
}

TEST(a_journal_of_another_record_is_left_alone)
{
    static const int64_t off[] = {-1, 1};

    for (size_t at = 0; at < 2; at++) {
        struct bench bench;
        struct manifest before;
        set_up(&bench, 50);
        copy_model(&bench.model, &before);
        build(&bench, 3);
        manifest_clear(&bench.model);
        bench.model = before;
        bench.position += (uint64_t)off[at];
        restart(&bench);
        expect_tables(&bench);
        tear_down(&bench);
    }
}

TEST(a_large_record_goes_through_little_memory_and_comes_back)
{
    struct bench bench;

    set_up(&bench, 2000);
    build(&bench, 200);
    page_tables_commit(&bench.tables);
    expect_tables(&bench);
    build(&bench, 1);
    EXPECT(scratch_stat(bench.disk.fd, PAGE_JOURNAL_PATH).st_size < 200000); /* the long one is gone */
    restart(&bench);
    expect_tables(&bench);
    tear_down(&bench);
}

TAP_MAIN()
