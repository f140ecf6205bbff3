/* Verification names every damaged or missing object, and nothing else. */
#include "tests/double/reading.h"
#include "tests/tap.h"

TEST(a_whole_store_is_verified_without_a_word)
{
    struct life life;
    struct damages damages;
    struct err err = {0};

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    EXPECT_OK(damages_find(life.mem, &damages, &err), &err);
    EXPECT_INT(damages.count, 0);
    life_tear_down(&life);
}

enum harm { HARM_FLIP, HARM_CUT, HARM_REMOVE, HARMS };

/* Keeps what the object was in *ret_before. */
static void do_harm(struct store *store, const char *key, enum harm harm, struct buf *ret_before)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(1 << 26);
    struct err err = {0};

    EXPECT_OK(store_get(store, key, &bytes, &err), &err);
    buf_reset(ret_before);
    buf_add(ret_before, bytes.bytes, bytes.size);
    if (harm == HARM_FLIP)
        bytes.bytes[bytes.size / 2] ^= 16;
    EXPECT_OK(harm == HARM_REMOVE
                  ? store_delete(store, key, &err)
                  : store_put(store, key, bytes.bytes, bytes.size / (harm == HARM_CUT ? 2 : 1), &err),
              &err);
}

static void check_one(struct store *store, const char *key, enum harm harm)
{
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(1 << 26);
    struct damages damages;
    struct err err = {0};

    do_harm(store, key, harm, &before);
    EXPECT(!damages_find(store, &damages, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(damages_name(&damages, key));
    EXPECT_INT(damages.count, 1);
    if (tap_failures > 0)
        printf("# harm %d to %s: %s\n", (int)harm, key, err.text);
    EXPECT_OK(store_put(store, key, before.bytes, before.size, &err), &err);
}

/* Harm to each of the first few objects of this kind, newest first, one after the other. */
static void check_harm(const char *prefix, size_t first)
{
    struct life life;
    struct damages damages;
    struct err err = {0};

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    for (size_t skip = first; skip < first + 3; skip++) {
        struct some_key key = key_below(life.mem, prefix, skip);
        REQUIRE(key.text[0] != '\0');
        for (enum harm harm = HARM_FLIP; harm < HARMS; harm++)
            check_one(life.mem, key.text, harm);
    }
    EXPECT_OK(damages_find(life.mem, &damages, &err), &err);
    life_tear_down(&life);
}

TEST(a_damaged_or_missing_part_is_named)
{
    check_harm("part/", 0);
}

TEST(a_damaged_or_missing_blob_is_named)
{
    check_harm("blob/", 0);
}

TEST(a_damaged_or_missing_manifest_is_named)
{
    check_harm("base/", 0);
}

TEST(a_damaged_or_missing_record_is_named)
{
    check_harm("log/", 1); /* a newest record that is missing is no newest record */
}

TEST(a_head_that_is_damaged_is_named)
{
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(1 << 26);
    struct life life;
    struct damages damages;
    struct some_key head;
    struct err err = {0};

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    head = key_below(life.mem, "log/", 0);
    do_harm(life.mem, head.text, HARM_FLIP, &before);
    EXPECT(!damages_find(life.mem, &damages, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(damages.count, 1);
    EXPECT(damages_name(&damages, head.text));
    life_tear_down(&life);
}

TEST(one_damage_does_not_hide_the_next)
{
    static const char *const prefixes[] = {"part/", "blob/", "base/", "log/"};
    CLEANUP(buf_clearp) struct buf before = BUF_INIT(1 << 26);
    struct life life;
    struct damages damages;
    struct some_key keys[4];
    struct err err = {0};

    /* The oldest part, the newest blob and manifest, and the base record before the newest one. */
    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    for (size_t at = 0; at < 4; at++) {
        size_t count = store_mem_count(life.mem, prefixes[at]);
        keys[at] = key_below(life.mem, prefixes[at], at == 0 ? count - 1 : at == 3 ? 2 : 0);
        do_harm(life.mem, keys[at].text, HARM_FLIP, &before);
    }
    EXPECT(!damages_find(life.mem, &damages, &err));
    EXPECT_INT(damages.count, 4);
    for (size_t at = 0; at < 4; at++)
        EXPECT(damages_name(&damages, keys[at].text));
    life_tear_down(&life);
}

TEST(what_fails_only_once_is_not_damage)
{
    static const enum fault_kind kinds[] = {FAULT_FLIP, FAULT_TRUNCATE, FAULT_BEFORE};
    static const char *const keys[] = {"part/", "base/", "log/"};

    struct life life;

    life_set_up(&life);
    REQUIRE(reading_fill(&life));
    for (size_t at = 0; at < 3; at++) {
        for (size_t skip = 0; skip < 12; skip++) {
            struct damages damages;
            struct err err = {0};
            store_fault_add(life.faulty, &(struct store_fault){.operation = "get",
                                                               .key = keys[skip % 3],
                                                               .skip = skip / 3,
                                                               .times = 1,
                                                               .kind = kinds[at],
                                                               .code = ERR_NOT_FOUND});
            EXPECT_OK(damages_find(life.faulty, &damages, &err), &err);
            EXPECT_INT(damages.count, 0);
            store_fault_clear(life.faulty);
        }
    }
    life_tear_down(&life);
}

TAP_MAIN()
