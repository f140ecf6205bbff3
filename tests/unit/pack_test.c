/* Packs: the bytes of many records in one object, and what is refused. */
#include "snapshot/pack.h"

#include "tests/double/history.h"
#include "tests/tap.h"

static void read_pack(struct history *history, uint64_t first, uint64_t last, struct buf *ret_bytes)
{
    struct err err = {0};

    REQUIRE_OK(store_get(history->mem, key_pack(first, last).text, ret_bytes, &err), &err);
}

TEST(every_record_comes_out_byte_for_byte)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(PACK_SIZE_MAX);
    static struct buf records[40];
    struct history history;
    struct pack pack;
    struct err err = {0};

    history_begin(&history);
    history_fill(&history, 5, 3000);
    history_work(&history, 34, 100);
    for (uint64_t position = 1; position <= 40; position++) {
        records[position - 1] = (struct buf)BUF_INIT(RECORD_SIZE_MAX);
        history_read(&history, position, &records[position - 1]);
    }
    history_pack(&history, 3, 40);
    read_pack(&history, 3, 40, &bytes);
    REQUIRE_OK(pack_open(3, 40, bytes.bytes, bytes.size, &pack, &err), &err);
    for (uint64_t position = 3; position <= 40; position++) {
        const struct buf *record = &records[position - 1];
        size_t size = 0;
        const uint8_t *found = pack_find(&pack, position, &size);
        EXPECT(size == record->size && memcmp(found, record->bytes, size) == 0);
    }
    for (size_t at = 0; at < 40; at++)
        buf_clear(&records[at]);
    history_end(&history);
}

static void expect_refused(uint64_t first, uint64_t last, const uint8_t *bytes, size_t size)
{
    struct pack pack = {.first = 77};
    struct err err = {0};

    EXPECT(!pack_open(first, last, bytes, size, &pack, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, key_pack(first, last).text) == err.text);
    EXPECT_INT(pack.first, 77);
}

TEST(damage_anywhere_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(PACK_SIZE_MAX);
    struct history history;

    history_begin(&history);
    history_work(&history, 3, 10);
    history_pack(&history, 2, 4);
    read_pack(&history, 2, 4, &bytes);
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.bytes[at] ^= 0x10;
        expect_refused(2, 4, bytes.bytes, bytes.size);
        expect_refused(2, 4, bytes.bytes, at);
        bytes.bytes[at] ^= 0x10;
    }
    expect_refused(2, 5, bytes.bytes, bytes.size);
    expect_refused(1, 4, bytes.bytes, bytes.size);
    expect_refused(1, UINT64_MAX, bytes.bytes, bytes.size);
    history_end(&history);
}

/* What the hash covers may still be nonsense, if somebody made it so. */
TEST(sizes_that_do_not_add_up_are_refused)
{
    static const uint64_t sizes[][2] = {{5, 4}, {5, 6}, {UINT64_MAX, 11}, {11, 0}, {0, 11}};

    for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(PACK_SIZE_MAX);
        struct pack pack;
        struct err err = {0};
        bool fine = sizes[at][0] + sizes[at][1] == 11 && sizes[at][0] != 5;
        buf_add_text(&bytes, "HFPACK01");
        wire_add_u64(&bytes, 7);
        wire_add_u64(&bytes, 8);
        wire_add_u64(&bytes, sizes[at][0]);
        wire_add_u64(&bytes, sizes[at][1]);
        buf_add_text(&bytes, fine ? "eleven byte" : "ten bytes.");
        pack_end(&bytes);
        if (fine)
            EXPECT_OK(pack_open(7, 8, bytes.bytes, bytes.size, &pack, &err), &err);
        else
            expect_refused(7, 8, bytes.bytes, bytes.size);
    }
}

/* A listing that begins there shows every pack that may hold the position. */
TEST(a_search_begins_before_every_pack_that_can_hold_the_position)
{
    static const uint64_t positions[] = {1, 2, 256, 257, 1000000, UINT64_MAX - 300, UINT64_MAX - 1};

    for (size_t at = 0; at < sizeof(positions) / sizeof(positions[0]); at++) {
        uint64_t position = positions[at];
        uint64_t last = UINT64_MAX - position > 255 ? position + 255 : UINT64_MAX;
        struct key search = pack_search_key(position);
        EXPECT(strcmp(search.text, key_pack(position, last).text) < 0);
        EXPECT(strcmp(search.text, key_pack(position > 255 ? position - 255 : 1, position).text) < 0);
        if (position > 1000)
            EXPECT(strcmp(search.text, key_pack(1, position - 500).text) < 0);
        if (UINT64_MAX - position > 1000)
            EXPECT(strcmp(search.text, key_pack(position, position + 300).text) > 0);
    }
}

TAP_MAIN()
