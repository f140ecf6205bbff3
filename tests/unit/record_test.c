#include "snapshot/record.h"

#include "tests/tap.h"
#include "tests/unit/golden.h"
#include "tests/unit/record_sample.h"

#include <signal.h>

TEST(the_bytes_of_a_record_are_those_of_the_specification)
{
    CLEANUP(buf_clearp) struct buf wanted = BUF_INIT(RECORD_SIZE_MAX), bytes = BUF_INIT(RECORD_SIZE_MAX);

    REQUIRE(golden_read("record", &wanted));
    (void)encode_base(&bytes);
    REQUIRE(bytes.size == wanted.size);
    EXPECT(memcmp(bytes.bytes, wanted.bytes, wanted.size) == 0);
}

static void expect_same_header(const struct record_header *one, const struct record_header *other)
{
    EXPECT_INT(one->kind, other->kind);
    EXPECT(id_equal(&one->lineage, &other->lineage) && id_equal(&one->owner, &other->owner));
    EXPECT(one->epoch == other->epoch && one->position == other->position);
    EXPECT(one->time_ns == other->time_ns && one->key_id == other->key_id);
    EXPECT(digest_equal(&one->previous, &other->previous));
    EXPECT(one->data_position == other->data_position);
    EXPECT(one->base.position == other->base.position && one->base.announced == other->base.announced);
    EXPECT(digest_equal(&one->base.manifest, &other->base.manifest));
    EXPECT_STR(one->base.key.text, other->base.key.text);
    EXPECT(one->horizon == other->horizon && one->draining_until_ns == other->draining_until_ns);
    EXPECT(point_equal(&one->roll_back, &other->roll_back));
    EXPECT(memcmp(one->open_times_ns, other->open_times_ns, sizeof(one->open_times_ns)) == 0);
}

TEST(a_record_comes_back)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = base_header();
    struct digest hash = encode_base(&bytes);
    struct base_body body = base_body(), found;
    struct record record;
    struct err err = {0};

    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    expect_same_header(&record.header, &header);
    EXPECT(digest_equal(&record.hash, &hash));
    EXPECT(memcmp(hash.bytes, bytes.bytes + bytes.size - DIGEST_SIZE, DIGEST_SIZE) == 0);
    REQUIRE_OK(record_base_body(&record, &found, &err), &err);
    EXPECT(found.flags == 0 && found.lowest_position == 39 && found.position == 41);
    EXPECT(digest_equal(&found.manifest, &body.manifest));
    EXPECT_STR(found.key.text, body.key.text);
    EXPECT(found.manifest_bytes == 123456 && found.state_bytes == 987654321);
    EXPECT(found.previous_base == 17 && found.horizon == 17);
    REQUIRE(found.dropped_count == 2 && found.pins_count == 1);
    EXPECT(found.dropped[1].tag == 6 && digest_equal(&found.dropped[1].content, &sample_dropped[1].content));
    EXPECT_STR(found.pins[0].name, "before-upgrade");
    EXPECT(found.pins[0].position == 12);
    base_body_clear(&found);
    EXPECT(!found.dropped && !found.pins);
}

TEST(a_record_is_appended_to_what_the_buffer_holds)
{
    CLEANUP(buf_clearp) struct buf alone = BUF_INIT(RECORD_SIZE_MAX), behind = BUF_INIT(RECORD_SIZE_MAX);
    struct digest one = encode_base(&alone), other;

    buf_add_text(&behind, "before");
    other = encode_base(&behind);
    EXPECT(digest_equal(&one, &other));
    REQUIRE(behind.size == alone.size + 6);
    EXPECT(memcmp(behind.bytes + 6, alone.bytes, alone.size) == 0);
}

TEST(the_smallest_and_the_largest_record_come_back)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    CLEANUP(freep) uint8_t *body = xcalloc(1, RECORD_SIZE_MAX);
    struct record_header header = first_header();
    struct digest hash;
    struct record record;
    struct err err = {0};

    record_encode(&header, NULL, 0, &bytes, &hash);
    EXPECT_INT(bytes.size, 242 + DIGEST_SIZE);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    expect_same_header(&record.header, &header);
    EXPECT_INT(record.body_size, 0);
    buf_reset(&bytes);
    record_encode(&header, body, RECORD_SIZE_MAX - 4096, &bytes, &hash);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    EXPECT_INT(record.body_size, RECORD_SIZE_MAX - 4096);
}

TEST(a_record_cut_anywhere_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    (void)encode_base(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        /* In memory of exactly that size, so that a sanitizer sees a read past the end. */
        CLEANUP(freep) uint8_t *cut = xmalloc(size);
        struct err err = {0};
        memcpy(cut, bytes.bytes, size);
        EXPECT(!record_decode(cut, size, &record, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
    }
}

TEST(a_record_with_any_bit_flipped_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    (void)encode_base(&bytes);
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        struct err err = {0};
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(!record_decode(bytes.bytes, bytes.size, &record, &err));
        EXPECT_INT(err.code, ERR_CORRUPT);
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* A decoded record says all that was in its bytes: written again, it gives them back. */
static void check_if_accepted(const struct buf *bytes)
{
    CLEANUP(buf_clearp) struct buf again = BUF_INIT(RECORD_SIZE_MAX), body_again = BUF_INIT(RECORD_SIZE_MAX);
    struct base_body body;
    struct record record;
    struct digest hash;
    struct err err = {0};

    if (!record_decode(bytes->bytes, bytes->size, &record, &err)) {
        EXPECT_INT(err.code, ERR_CORRUPT);
        return;
    }
    record_encode(&record.header, record.body, record.body_size, &again, &hash);
    EXPECT(again.size == bytes->size && memcmp(again.bytes, bytes->bytes, again.size) == 0);
    if (record.header.kind != RECORD_BASE || !record_base_body(&record, &body, &err))
        return;
    base_body_encode(&body, &body_again);
    EXPECT(body_again.size == record.body_size &&
           memcmp(body_again.bytes, record.body, record.body_size) == 0);
    base_body_clear(&body);
}

TEST(a_flipped_bit_under_a_right_hash_is_refused_or_still_a_record)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    (void)encode_base(&bytes);
    for (size_t bit = 0; bit < 8 * (bytes.size - DIGEST_SIZE); bit++) {
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        golden_seal(&bytes);
        check_if_accepted(&bytes);
        bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(a_cut_under_a_right_hash_is_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record record;

    (void)encode_base(&bytes);
    while (bytes.size > DIGEST_SIZE) {
        struct err err = {0};
        bytes.size--;
        golden_seal(&bytes);
        EXPECT(!record_decode(bytes.bytes, bytes.size, &record, &err));
    }
}

static void expect_refused(const struct buf *bytes, const char *text)
{
    struct record record;
    struct err err = {0};

    EXPECT(!record_decode(bytes->bytes, bytes->size, &record, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
}

TEST(bytes_left_over_are_refused)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    (void)encode_base(&bytes);
    buf_add(&bytes, "", 1);
    expect_refused(&bytes, "hash");
    golden_seal(&bytes);
    expect_refused(&bytes, "not what its header says");
}

TEST(a_record_above_the_limit_is_refused_unread)
{
    struct record record;
    struct err err = {0};

    EXPECT(!record_decode("", (size_t)RECORD_SIZE_MAX + 1, &record, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(a_record_of_a_later_format_names_the_remedy)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);

    (void)encode_base(&bytes);
    bytes.bytes[8] = 2;
    expect_refused(&bytes, "does not match its own hash");
    golden_seal(&bytes);
    expect_refused(&bytes, "a record of format 2, and this holdfast reads format 1: run a newer holdfast");
    bytes.bytes[8] = 0;
    golden_seal(&bytes);
    expect_refused(&bytes, "format 0");
    bytes.bytes[0] = 'h';
    golden_seal(&bytes);
    expect_refused(&bytes, "not a record");
}

/* Fields of the golden base record and values that break a rule. Offsets as in docs/FORMAT.md. */
static const struct {
    size_t offset;
    size_t width;
    uint64_t value;
    const char *text;
} breaches[] = {
    {10, 2, 0, "kind is unknown"},
    {10, 2, 7, "kind is unknown"},
    {10, 2, 0xffff, "kind is unknown"},
    {10, 2, RECORD_DATA, "newest that changed data"},
    {10, 2, RECORD_OPEN, "epoch is the position of its open"},
    {10, 2, RECORD_CLOSE, "newest base of a base record"},
    {12, 4, 87, "header is too short"},
    {12, 4, 0xffffffff, "not what its header says"},
    {12, 4, 297, "not what its header says"},
    {16, 8, UINT64_MAX, "not what its header says"},
    {56, 8, 0, "begin at 1"},
    {56, 8, 42, "epoch is the position of its open"},
    {56, 8, 43, "above its position"},
    {64, 8, 0, "begin at 1"},
    {64, 8, 41, "after this one"},
    {64, 8, 43, "newest base of a base record"},
    {72, 8, 1, "later than this record"},
    {80, 8, 1, "encrypted"},
    {120, 8, 43, "data position"},
    {128, 8, 0, "a base record names its base"},
    {128, 8, 40, "not its own"},
    {136, 8, 0, "comes before"},
    {136, 8, 41, "comes before"},
    {136, 8, 43, "not after this one"},
    {176, 8, 0, "horizon"},
    {176, 8, 43, "horizon"},
    {192, 8, UINT64_MAX, "later than this record"},
    {192, 8, 0, "newest first"},
    {216, 8, 1, "newest first"},
    {224, 8, 0, "roll-back is named in part"},
    {224, 8, 3, "roll-back is of a kind that is unknown"},
    {224, 8, UINT64_C(1) << 32, "roll-back is of a kind that is unknown"},
    {232, 8, 0, "to a record before its base"},
    {232, 8, 42, "to a record before its base"},
    {240, 2, 0xffff, "does not end"},
    {240, 2, 55, "does not end"},
    {242, 1, 'B', "not its own"},
    {242, 1, 0, "does not end"},
};

TEST(every_rule_of_the_header_is_kept)
{
    for (size_t at = 0; at < sizeof(breaches) / sizeof(breaches[0]); at++) {
        CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
        (void)encode_base(&bytes);
        for (size_t byte = 0; byte < breaches[at].width; byte++)
            bytes.bytes[breaches[at].offset + byte] = (uint8_t)(breaches[at].value >> (8 * byte));
        golden_seal(&bytes);
        expect_refused(&bytes, breaches[at].text);
    }
}

/* Seals a header that breaks a rule by writing a good one and changing its bytes. */
static void expect_header_refused(struct record_header header, size_t offset, uint8_t value, const char *text)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX), body = BUF_INIT(100);
    struct digest hash;

    if (header.kind == RECORD_DRAIN)
        drain_body_encode(header.draining_until_ns, &body);
    record_encode(&header, body.bytes, body.size, &bytes, &hash);
    bytes.bytes[offset] = value;
    golden_seal(&bytes);
    expect_refused(&bytes, text);
}

TEST(records_without_a_base_name_no_part_of_one)
{
    struct record_header header = first_header();

    expect_header_refused(header, 136, 1, "named in part");
    expect_header_refused(header, 144, 1, "named in part");
    expect_header_refused(header, 176, 1, "named in part");
    expect_header_refused(header, 88, 1, "every record but the first");
    expect_header_refused(header, 120, 1, "only data and base records");
    expect_header_refused(header, 64, 2, "epoch is the position of its open");
    expect_header_refused(header, 192, (uint8_t)(sample_time_ns + 1), "newest open");
    expect_header_refused(header, 224, POINT_TIME, "ends with a base");
}

TEST(drain_and_close_keep_their_rules)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = first_header();
    uint64_t until_ns = 0;
    struct record record;
    struct digest hash;
    struct err err = {0};

    header.position = 2;
    header.previous = digest_of("record 1", 8);
    header.kind = RECORD_DRAIN;
    header.draining_until_ns = 0x11223344;
    expect_header_refused(header, 184, 0, "repeats its header");
    expect_header_refused(header, 242, 0, "repeats its header");
    header.kind = RECORD_CLOSE;
    memset(header.open_times_ns, 0, sizeof(header.open_times_ns));
    expect_header_refused(header, 192, 1, "leaves no open");
    record_encode(&header, NULL, 0, &bytes, &hash);
    bytes.bytes[16] = 1; /* one byte of body */
    buf_add(&bytes, "", 1);
    golden_seal(&bytes);
    expect_refused(&bytes, "no body");
    header.kind = RECORD_DRAIN;
    buf_reset(&bytes);
    record_encode(&header, "\x44\x33\x22\x11\0\0\0", 8, &bytes, &hash);
    REQUIRE_OK(record_decode(bytes.bytes, bytes.size, &record, &err), &err);
    REQUIRE_OK(drain_body_decode(record.body, record.body_size, &until_ns, &err), &err);
    EXPECT_INT(until_ns, 0x11223344);
    EXPECT(!drain_body_decode(record.body, 7, &until_ns, &err));
}

static bool ends_by_abort(void (*run)(void))
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        (void)close(STDERR_FILENO); /* the message is for people */
        run();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

static void write_a_record_without_the_hash_before(void)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct record_header header = base_header();
    struct digest hash;

    header.previous = (struct digest){{0}};
    record_encode(&header, NULL, 0, &bytes, &hash);
}

static void write_a_record_into_a_full_buffer(void)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(230);
    struct record_header header = first_header();
    struct digest hash;

    record_encode(&header, NULL, 0, &bytes, &hash);
}

static void write_a_base_body_without_a_horizon(void)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct base_body body = base_body();

    body.horizon = 0;
    base_body_encode(&body, &bytes);
}

TEST(what_a_reader_would_refuse_is_never_written)
{
    EXPECT(ends_by_abort(write_a_record_without_the_hash_before));
    EXPECT(ends_by_abort(write_a_record_into_a_full_buffer));
    EXPECT(ends_by_abort(write_a_base_body_without_a_horizon));
}

TAP_MAIN()
