#include "snapshot/globs.h"

#include "base/buf.h"
#include "tests/tap.h"

#include <time.h>

static bool matches(const char *patterns, const char *path)
{
    CLEANUP(globs_freep) struct globs *globs = NULL;
    struct err err;

    if (!globs_parse(patterns, &globs, &err)) {
        printf("# %s\n", err.text);
        abort();
    }
    return globs_match(globs, path);
}

#define EXPECT_MATCH(patterns, path) EXPECT(matches(patterns, path))
#define EXPECT_NO_MATCH(patterns, path) EXPECT(!matches(patterns, path))

TEST(a_name_without_a_slash_matches_at_any_depth)
{
    EXPECT_MATCH("tmp", "tmp");
    EXPECT_MATCH("tmp", "a/b/tmp");
    EXPECT_NO_MATCH("tmp", "tmp2");
    EXPECT_NO_MATCH("tmp", "atmp");
    EXPECT_NO_MATCH("tmp", "a/tmpx/b");
}

TEST(a_pattern_with_a_slash_begins_at_the_top)
{
    EXPECT_MATCH("a/tmp", "a/tmp");
    EXPECT_NO_MATCH("a/tmp", "b/a/tmp");
    EXPECT_NO_MATCH("a/tmp", "a/b/tmp");
}

TEST(a_directory_covers_what_is_below_it)
{
    EXPECT_MATCH("tmp", "tmp/a/b");
    EXPECT_MATCH("tmp", "x/tmp/a");
    EXPECT_MATCH("a/b", "a/b/c/d");
    EXPECT_MATCH("a*", "abc/d");
    EXPECT_NO_MATCH("a/b", "a/bc");
    EXPECT_NO_MATCH("a/b", "a");
}

TEST(a_star_and_a_question_mark_stop_at_a_slash)
{
    EXPECT_MATCH("a/*", "a/b");
    EXPECT_MATCH("a/*/c", "a/b/c");
    EXPECT_NO_MATCH("a/*/c", "a/b/b/c");
    EXPECT_NO_MATCH("a/*c", "a/b/c");
    EXPECT_NO_MATCH("a?b/x", "a/b/x");
    EXPECT_MATCH("*.log", "deep/down/server.log");
    EXPECT_MATCH("*", "anything/at/all");
    EXPECT_MATCH("a*b*c", "aXbYbZc");
    EXPECT_NO_MATCH("a*b*c", "aXbYbZ");
    EXPECT_MATCH("x/*", "x/");
}

TEST(two_stars_match_slashes_too)
{
    EXPECT_MATCH("a/**/z", "a/z");
    EXPECT_MATCH("a/**/z", "a/b/z");
    EXPECT_MATCH("a/**/z", "a/b/c/z/below");
    EXPECT_NO_MATCH("a/**/z", "a/bz");
    EXPECT_MATCH("**/z", "z");
    EXPECT_MATCH("a/**", "a/b/c");
    EXPECT_NO_MATCH("a/**", "a");
    EXPECT_MATCH("a**z/x", "a/b/cz/x");
    EXPECT_MATCH("**/b*/**/*.db", "a/bb/c/d/x.db");
    EXPECT_NO_MATCH("**/b*/**/*.db", "a/c/d/x.db");
    EXPECT_MATCH("**/*a*/x", "b/ca/y/da/x");
}

TEST(a_set_matches_one_of_its_members)
{
    EXPECT_MATCH("log.[0-9]", "log.7");
    EXPECT_NO_MATCH("log.[0-9]", "log.x");
    EXPECT_NO_MATCH("log.[0-9]", "log.");
    EXPECT_MATCH("[!a-c]x", "dx");
    EXPECT_NO_MATCH("[!a-c]x", "bx");
    EXPECT_MATCH("[]]", "]");
    EXPECT_MATCH("[*]", "*");
    EXPECT_NO_MATCH("[*]", "x");
    EXPECT_MATCH("[a-]", "-");
    EXPECT_NO_MATCH("a[!x]b/c", "a/b/c");
}

TEST(a_question_mark_takes_a_whole_character)
{
    EXPECT_MATCH("?", "x");
    EXPECT_MATCH("a?b",
                 "a\xc3\xa4"
                 "b");
    EXPECT_MATCH("?.txt", "\xf0\x9f\x98\x80.txt");
    EXPECT_MATCH("a?b",
                 "a\xff"
                 "b");
    EXPECT_NO_MATCH("?", "");
}

TEST(any_of_several_patterns_will_do)
{
    EXPECT_MATCH("tmp:cache/x:*.bak", "cache/x/y");
    EXPECT_MATCH("tmp:cache/x:*.bak", "a.bak");
    EXPECT_NO_MATCH("tmp:cache/x:*.bak", "cache/y");
}

TEST(no_patterns_match_nothing)
{
    EXPECT_NO_MATCH("", "a");
    EXPECT_NO_MATCH("", "");
}

TEST(a_last_slash_says_directory)
{
    EXPECT_MATCH("cache/", "a/cache");
    EXPECT_MATCH("cache/", "cache/x");
    EXPECT_MATCH("a/cache/", "a/cache/x");
}

TEST(names_are_bytes)
{
    EXPECT_MATCH("new\nline*", "new\nline\xff");
    EXPECT_MATCH("\xff\xfe", "\xff\xfe");
}

TEST(what_cannot_match_is_refused)
{
    static const char *const texts[] = {
        "/abs", "a//b", "./a", "a/..", "..", ".", "a:", ":a", "a::b", "/", "a//", "[abc", "a/[!]/b", "a[/]",
    };
    struct err err;

    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        struct globs *globs = NULL;
        err.code = ERR_NONE;
        if (!EXPECT(!globs_parse(texts[at], &globs, &err)))
            printf("#   %s\n", texts[at]);
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(globs == NULL);
    }
}

/* The definition, slow but plain: what match() must agree with. */
static bool matches_slowly(const char *pattern, const char *text, bool at_component)
{
    if (*pattern == '\0')
        return *text == '\0' || *text == '/';
    if (strncmp(pattern, "**/", 3) == 0 && at_component) {
        if (matches_slowly(pattern + 3, text, true))
            return true;
        for (const char *at = text; *at; at++)
            if (*at == '/' && matches_slowly(pattern + 3, at + 1, true))
                return true;
        return false;
    }
    if (strncmp(pattern, "**", 2) == 0) {
        for (const char *at = text;; at++) {
            if (matches_slowly(pattern + 2, at, false))
                return true;
            if (!*at)
                return false;
        }
    }
    if (*pattern == '*') {
        for (const char *at = text;; at++) {
            if (matches_slowly(pattern + 1, at, false))
                return true;
            if (!*at || *at == '/')
                return false;
        }
    }
    if (*text == '\0' || (*pattern == '?' ? *text == '/' : *pattern != *text))
        return false;
    return matches_slowly(pattern + 1, text + 1, *pattern == '/');
}

/* xorshift: the same sequence everywhere. */
static size_t random_below(size_t limit)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % limit);
}

static void fill(char *text, size_t size, const char *alphabet)
{
    size_t length = random_below(size - 1) + 1;

    for (size_t at = 0; at < length; at++)
        text[at] = alphabet[random_below(strlen(alphabet))];
    text[length] = '\0';
}

TEST(it_agrees_with_the_definition)
{
    int tried = 0, matched = 0;

    for (int round = 0; round < 200000; round++) {
        CLEANUP(globs_freep) struct globs *globs = NULL;
        char pattern[10] = "a/", path[12];
        struct err err;
        bool found;
        fill(pattern + 2 * (round % 2), sizeof(pattern) - 2, "ab/**?");
        fill(path, sizeof(path), "ab/");
        if (!strchr(pattern, '/') || strstr(pattern, "***") || !globs_parse(pattern, &globs, &err) ||
            pattern[strlen(pattern) - 1] == '/')
            continue;
        found = globs_match(globs, path);
        tried++;
        matched += found;
        if (!EXPECT(found == matches_slowly(pattern, path, true))) {
            printf("#   %s against %s\n", pattern, path);
            return;
        }
    }
    EXPECT(tried > 10000 && matched > 500);
}

TEST(no_pattern_takes_long)
{
    CLEANUP(buf_clearp) struct buf pattern = BUF_INIT(1000);
    char path[4096];
    clock_t begin = clock();

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    for (int at = 0; at < 60; at++)
        buf_add_text(&pattern, at % 3 ? "*a" : "**/*a");
    buf_add_text(&pattern, "b");
    EXPECT_NO_MATCH(buf_text(&pattern), path);
    for (size_t at = 1; at < sizeof(path) - 1; at += 2)
        path[at] = '/';
    EXPECT_NO_MATCH(buf_text(&pattern), path);
    EXPECT(clock() - begin < CLOCKS_PER_SEC);
}

TAP_MAIN()
