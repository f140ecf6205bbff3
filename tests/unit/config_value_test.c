#include "sidecar/config_value.h"

#include "tests/tap.h"

#include <signal.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TEST(a_duration_is_a_number_with_its_unit)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"0", 0},          {"200ms", 200},    {"1s", 1000}, {"2m", 120000},
        {"24h", 86400000}, {"7d", 604800000}, {"0s", 0},    {"36500d", UINT64_C(36500) * 86400000},
    };

    for (size_t at = 0; at < COUNT(cases); at++) {
        uint64_t ms = 1;
        EXPECT(value_duration(cases[at].text, &ms));
        EXPECT_INT(ms, cases[at].ms);
    }
}

TEST(anything_else_is_not_a_duration)
{
    static const char *const cases[] = {"",       "1",         "-1s",  "+1s",  " 1s",
                                        "1s ",    "1 s",       "1.5s", "0x1s", "s",
                                        "1S",     "1sec",      "1ms1", "01",   "99999999999999999999s",
                                        "36601d", "1\xc2\xb5s"};

    for (size_t at = 0; at < COUNT(cases); at++) {
        uint64_t ms = 77;
        if (!EXPECT(!value_duration(cases[at], &ms)))
            printf("#   \"%s\" was taken for one\n", cases[at]);
        EXPECT_INT(ms, 77);
    }
}

TEST(a_size_is_binary_and_says_so)
{
    uint64_t bytes = 0;

    EXPECT(value_size("64MiB", &bytes) && bytes == 64 * UINT64_C(1048576));
    EXPECT(value_size("1GiB", &bytes) && bytes == UINT64_C(1) << 30);
    EXPECT(value_size("3B", &bytes) && bytes == 3);
    EXPECT(value_size("0", &bytes) && bytes == 0);
    EXPECT(!value_size("64MB", &bytes));
    EXPECT(!value_size("64", &bytes));
    EXPECT(!value_size("64mib", &bytes));
    EXPECT(!value_size("16777216TiB", &bytes));
    EXPECT(value_size("16777215TiB", &bytes));
}

TEST(a_stop_signal_has_a_name_or_a_number)
{
    int signal = 0;

    EXPECT(value_signal("TERM", &signal) && signal == SIGTERM);
    EXPECT(value_signal("SIGINT", &signal) && signal == SIGINT);
    EXPECT(value_signal("sigquit", &signal) && signal == SIGQUIT);
    EXPECT(value_signal("2", &signal) && signal == SIGINT);
    EXPECT(!value_signal("KILL", &signal));
    EXPECT(!value_signal("9", &signal));
    EXPECT(!value_signal("0", &signal));
    EXPECT(!value_signal("CHLD", &signal));
    EXPECT(!value_signal("TERMINATE", &signal));
    EXPECT(!value_signal("4294967298", &signal));
    EXPECT_INT(signal, SIGINT);
}

TEST(a_switch_is_0_or_1)
{
    bool on = false;

    EXPECT(value_switch("1", &on) && on);
    EXPECT(value_switch("0", &on) && !on);
    EXPECT(!value_switch("true", &on));
    EXPECT(!value_switch("11", &on));
    EXPECT(!value_switch("", &on));
}

TEST(a_choice_is_one_of_the_words)
{
    unsigned index = 9;

    EXPECT(value_choice("block", "block|fail", &index) && index == 0);
    EXPECT(value_choice("fail", "block|fail", &index) && index == 1);
    EXPECT(value_choice("", "|local|remote", &index) && index == 0);
    EXPECT(value_choice("remote", "|local|remote", &index) && index == 2);
    index = 9;
    EXPECT(!value_choice("fai", "block|fail", &index));
    EXPECT(!value_choice("block|fail", "block|fail", &index));
    EXPECT(!value_choice("", "block|fail", &index));
    EXPECT_INT(index, 9);
}

TEST(globs_stay_below_their_directory)
{
    EXPECT(value_globs(""));
    EXPECT(value_globs("tmp"));
    EXPECT(value_globs("tmp:cache/*.bin:a//b:c/"));
    EXPECT(value_globs("..a:b.."));
    EXPECT(!value_globs("/tmp"));
    EXPECT(!value_globs("tmp:/cache"));
    EXPECT(!value_globs("../tmp"));
    EXPECT(!value_globs("a/.."));
    EXPECT(!value_globs("a:b/../c"));
}

static const char *next_word(void *context, size_t index)
{
    static const char *const words[] = {"STORE", "RETENTION", "SYNC_INTERVAL", "SYNC_TIMEOUT"};

    (void)context;
    return index < COUNT(words) ? words[index] : NULL;
}

TEST(the_nearest_word_is_found_when_it_is_near)
{
    const char *nearest = value_nearest("SYNC_INTERVALL", next_word, NULL);

    EXPECT(nearest && strcmp(nearest, "SYNC_INTERVAL") == 0);
    nearest = value_nearest("STROE", next_word, NULL);
    EXPECT(nearest && strcmp(nearest, "STORE") == 0);
    EXPECT(!value_nearest("SCALE", next_word, NULL)); /* three letters of five */
    nearest = value_nearest("STOR", next_word, NULL);
    EXPECT(nearest && strcmp(nearest, "STORE") == 0);
    EXPECT(!value_nearest("UNLIKE_ANYTHING", next_word, NULL));
    EXPECT(!value_nearest("", next_word, NULL));
    EXPECT(!value_nearest("A_NAME_THAT_IS_LONGER_THAN_ANYTHING_THAT_COULD_BE_MEANT_BY_ANYBODY_AT_ALL",
                          next_word, NULL));
}

TAP_MAIN()
