#include "base/buf.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#define BUF(name, max) __attribute__((cleanup(buf_clearp))) struct buf name = BUF_INIT(max)

TEST(what_is_added_stands_in_order)
{
    BUF(buf, 100);

    buf_add(&buf, "a\0b", 3);
    buf_add_text(&buf, "cd");
    buf_printf(&buf, "%d-%s", 42, "x");
    EXPECT_INT(buf.size, 9);
    EXPECT(memcmp(buf.bytes, "a\0bcd42-x", 9) == 0);
}

TEST(an_empty_buffer_is_an_empty_text)
{
    BUF(buf, 100);
    BUF(nothing, 0);

    EXPECT_STR(buf_text(&buf), "");
    EXPECT_STR(buf_text(&nothing), "");
    buf_add(&buf, NULL, 0);
    EXPECT_INT(buf.size, 0);
}

TEST(the_terminator_is_not_counted_and_is_overwritten)
{
    BUF(buf, 3);

    buf_add_text(&buf, "ab");
    EXPECT_STR(buf_text(&buf), "ab");
    buf_add_text(&buf, "c");
    EXPECT_STR(buf_text(&buf), "abc");
    EXPECT_INT(buf.size, 3);
}

TEST(the_ceiling_itself_is_reached_and_one_byte_more_is_not)
{
    BUF(buf, 4);
    struct err err = {0};

    buf_add_text(&buf, "abcd");
    EXPECT(buf_check(&buf, "the list", &err));
    buf_add_text(&buf, "e");
    EXPECT(buf.overflowed);
    EXPECT_STR(buf_text(&buf), "abcd");
    EXPECT(!buf_check(&buf, "the list", &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_STR(err.text, "the list is larger than the 4 bytes it may have");
}

TEST(an_addition_that_does_not_fit_is_dropped_whole)
{
    BUF(buf, 4);

    buf_add_text(&buf, "ab");
    buf_add_text(&buf, "cde");
    buf_printf(&buf, "%s", "cde");
    EXPECT(!buf_extend(&buf, 3));
    EXPECT(!buf_extend(&buf, SIZE_MAX - 1));
    EXPECT_STR(buf_text(&buf), "ab");
    EXPECT(buf.overflowed);
}

TEST(extending_counts_the_room_at_once)
{
    BUF(buf, 1000);
    uint8_t *room = buf_extend(&buf, 600);

    REQUIRE(room);
    memset(room, 'x', 600);
    EXPECT_INT(buf.size, 600);
    room = buf_extend(&buf, 400);
    REQUIRE(room);
    EXPECT(room == buf.bytes + 600);
    EXPECT(!buf_extend(&buf, 1));
}

TEST(growing_keeps_what_is_there)
{
    BUF(buf, 100000);

    for (unsigned number = 0; number < 20000; number++)
        buf_printf(&buf, "%05u", number);
    REQUIRE(buf.size == 100000);
    EXPECT(!buf.overflowed);
    for (unsigned number = 0; number < 20000; number += 997) {
        char wanted[8];
        (void)snprintf(wanted, sizeof(wanted), "%05u", number);
        EXPECT(memcmp(buf.bytes + number * 5, wanted, 5) == 0);
    }
}

TEST(a_huge_ceiling_allocates_only_what_is_used)
{
    BUF(buf, SIZE_MAX - 1);

    buf_add_text(&buf, "small");
    EXPECT_STR(buf_text(&buf), "small");
    EXPECT(buf.capacity <= 4096);
}

TEST(a_reset_keeps_the_memory_and_forgets_the_overflow)
{
    BUF(buf, 4);
    const uint8_t *memory;

    buf_add_text(&buf, "abcd");
    buf_add_text(&buf, "e");
    memory = buf.bytes;
    buf_reset(&buf);
    EXPECT_INT(buf.size, 0);
    EXPECT(!buf.overflowed);
    buf_add_text(&buf, "xyz");
    EXPECT(buf.bytes == memory);
    EXPECT_STR(buf_text(&buf), "xyz");
}

TEST(a_cleared_buffer_can_be_used_again_under_the_same_ceiling)
{
    BUF(buf, 4);

    buf_add_text(&buf, "abcd");
    buf_clear(&buf);
    EXPECT_INT(buf.size, 0);
    EXPECT(!buf.bytes);
    buf_clear(&buf);
    buf_add_text(&buf, "12345");
    EXPECT(buf.overflowed);
}

static void expect_json(const char *text, const char *wanted)
{
    BUF(buf, 1000);

    buf_add_json(&buf, text);
    EXPECT_STR(buf_text(&buf), wanted);
}

TEST(json_strings_escape_what_json_asks_for)
{
    expect_json("", "\"\"");
    expect_json("plain", "\"plain\"");
    expect_json("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    expect_json("\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\x7f\"");
}

TEST(json_strings_pass_well_formed_utf8)
{
    expect_json("é", "\"é\"");
    expect_json("\u20ac", "\"\u20ac\"");
    expect_json("\U0001f980", "\"\U0001f980\"");
    expect_json("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
    expect_json("\xee\x80\x80", "\"\xee\x80\x80\"");
}

#define REPLACED "\xef\xbf\xbd"

TEST(json_strings_replace_each_byte_that_is_not_utf8)
{
    expect_json(
        "a\xff"
        "b",
        "\"a" REPLACED "b\"");
    expect_json("\x80", "\"" REPLACED "\"");                                        /* a continuation alone */
    expect_json("\xc3", "\"" REPLACED "\"");                                        /* cut off by the end */
    expect_json("\xe2\x82", "\"" REPLACED REPLACED "\"");                           /* cut off by the end */
    expect_json("\xe2\x82\"", "\"" REPLACED REPLACED "\\\"\"");                     /* cut off by a quote */
    expect_json("\xc0\xaf", "\"" REPLACED REPLACED "\"");                           /* overlong '/' */
    expect_json("\xe0\x80\xaf", "\"" REPLACED REPLACED REPLACED "\"");              /* overlong '/' */
    expect_json("\xed\xa0\x80", "\"" REPLACED REPLACED REPLACED "\"");              /* a surrogate */
    expect_json("\xf4\x90\x80\x80", "\"" REPLACED REPLACED REPLACED REPLACED "\""); /* above U+10FFFF */
    expect_json("\xf0\x8f\xbf\xbf", "\"" REPLACED REPLACED REPLACED REPLACED "\""); /* overlong */
}

TEST(memory_helpers_give_memory_even_for_nothing)
{
    void *none = xmalloc(0);
    int *zeros = xcalloc(4, sizeof(*zeros));
    char *text = xasprintf("%s/%d", "a", 7);
    char *copy = xstrdup(text);

    EXPECT(none);
    EXPECT(zeros[0] == 0 && zeros[3] == 0);
    EXPECT_STR(copy, "a/7");
    none = xrealloc(none, 0);
    EXPECT(none);
    free(none);
    free(zeros);
    free(text);
    free(copy);
}

TEST(out_of_memory_ends_the_process_with_a_word)
{
    int output[2];
    char text[64] = "";
    int status = 0;
    pid_t child;

    REQUIRE(pipe(output) == 0);
    child = fork();
    if (child == 0) {
        (void)dup2(output[1], STDERR_FILENO);
        xrealloc(NULL, PTRDIFF_MAX);
        _exit(EXIT_SUCCESS);
    }
    (void)close(output[1]);
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT(!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* Sanitizers end the process themselves, with more words. */
    EXPECT(WIFSIGNALED(status));
    EXPECT(read(output[0], text, sizeof(text) - 1) > 0);
    EXPECT_STR(text, "holdfast: out of memory\n");
#endif
    (void)text;
    (void)close(output[0]);
}

TEST(aligned_memory_begins_where_it_should)
{
    for (size_t alignment = 16; alignment <= 8192; alignment *= 2) {
        CLEANUP(freep) char *memory = xaligned(alignment, 3 * alignment);
        EXPECT_INT((uintptr_t)memory % alignment, 0);
        memset(memory, 1, 3 * alignment);
    }
}

TAP_MAIN()
