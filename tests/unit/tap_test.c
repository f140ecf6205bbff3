/* The harness itself: tests that fail, crash or hang must be told, and nothing of them may stay. */
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>

static int survivor[2]; /* a pipe whose writing end the processes below hold while they live */

static void passes(void)
{
    EXPECT(true);
    EXPECT_INT(1 + 1, 2);
    EXPECT_STR("a", "a");
}

static void expects_in_vain(void)
{
    EXPECT(false);
}

static void expects_another_number(void)
{
    EXPECT_INT(1, 2);
}

static void expects_another_text(void)
{
    EXPECT_STR("a", "b");
}

static void leaves_at_the_requirement(void)
{
    REQUIRE(false);
    _exit(EXIT_SUCCESS);
}

static void aborts(void)
{
    abort();
}

static void hangs_with_every_signal_blocked(void)
{
    sigset_t all;

    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    for (;;)
        (void)pause();
}

/* Four times the limit that it begins with. */
static void takes_long(void)
{
    (void)poll(NULL, 0, 200);
}

static void takes_long_and_says_so(void)
{
    tap_allow_ms(60 * 1000);
    takes_long();
}

static void leaves_a_child_behind(void)
{
    if (fork() == 0)
        hangs_with_every_signal_blocked();
}

/* Runs it without its words getting into our own output. */
static bool held(void (*run)(void))
{
    struct tap_entry entry = {.name = "inner", .run = run};
    int before = dup(STDOUT_FILENO);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool result;

    (void)fflush(stdout);
    (void)dup2(nowhere, STDOUT_FILENO);
    result = tap_run(&entry);
    (void)fflush(stdout);
    (void)dup2(before, STDOUT_FILENO);
    (void)close(before);
    (void)close(nowhere);
    return result;
}

TEST(a_test_that_holds_is_ok)
{
    EXPECT(held(passes));
}

TEST(whatever_fails_is_not_ok)
{
    EXPECT(!held(expects_in_vain));
    EXPECT(!held(expects_another_number));
    EXPECT(!held(expects_another_text));
    EXPECT(!held(leaves_at_the_requirement));
    EXPECT(!held(aborts));
}

TEST(a_test_that_hangs_is_ended_at_the_limit)
{
    tap_limit_ms = 50;
    EXPECT(!held(hangs_with_every_signal_blocked));
}

TEST(a_test_may_ask_for_more_time)
{
    tap_limit_ms = 50;
    EXPECT(!held(takes_long));
    EXPECT(held(takes_long_and_says_so));
}

TEST(nothing_that_a_test_started_stays)
{
    char byte;

    REQUIRE(pipe(survivor) == 0);
    EXPECT(held(leaves_a_child_behind));
    (void)close(survivor[1]);
    EXPECT_INT(read(survivor[0], &byte, 1), 0); /* the end of the pipe: nobody holds it any more */
    (void)close(survivor[0]);
}

TEST(only_the_named_tests_run)
{
    char program[] = "program", name[] = "a", other[] = "b";
    char *all[] = {program}, *some[] = {program, name};

    EXPECT(tap_wanted("a", 1, all) && tap_wanted("b", 1, all));
    EXPECT(tap_wanted(name, 2, some));
    EXPECT(!tap_wanted(other, 2, some));
}

TAP_MAIN()
