#include "sidecar/lifecycle.h"

#include "tests/tap.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TEST(the_states_move_as_the_design_draws_them_and_no_other_way)
{
    /* Rows: from; columns: to, in the order of the enum. */
    static const char *const allowed[LIFE_STATES] = {
        [LIFE_LISTEN] = ".R.....X", [LIFE_RESTORE] = "..L...NX", [LIFE_LAUNCH] = "...SDFN.",
        [LIFE_SERVE] = "....DFN.",  [LIFE_DRAIN] = ".....FN.",   [LIFE_FLUSH] = "......NX",
        [LIFE_FENCED] = ".......X", [LIFE_EXIT] = "........",
    };

    for (enum life_state from = LIFE_LISTEN; from < LIFE_STATES; from++)
        for (enum life_state to = LIFE_LISTEN; to < LIFE_STATES; to++)
            if (!EXPECT(life_may_move(from, to) == (allowed[from][to] != '.')))
                printf("#   %s to %s\n", life_state_name(from), life_state_name(to));
}

TEST(a_forbidden_move_aborts)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        enum life_state state = LIFE_SERVE;
        (void)close(STDERR_FILENO);
        life_move(&state, LIFE_LAUNCH);
        _exit(0);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(the_exit_code_tells_the_truth)
{
    static const struct {
        const char *what;
        struct life_outcome outcome;
        int code;
    } cases[] = {
        {"stopped before the launch", {.refusal = EXIT_OK}, 0},
        {"refused", {.refusal = EXIT_CONFIG}, 64},
        {"command not found", {.refusal = EXIT_NOT_FOUND}, 127},
        {"fenced before the launch", {.fenced = true, .refusal = EXIT_NOT_SHIPPED}, 76},
        {"well", {.launched = true, .shipped = true}, 0},
        {"the child's own", {.launched = true, .shipped = true, .child_exit_code = 7}, 7},
        {"ended by SIGTERM", {.launched = true, .shipped = true, .child_exit_code = 143}, 143},
        {"killed", {.launched = true, .shipped = true, .killed = true, .child_exit_code = 137}, 137},
        {"killed, though it exited at that instant",
         {.launched = true, .shipped = true, .killed = true},
         137},
        {"not shipped", {.launched = true, .child_exit_code = 7}, 74},
        {"not shipped and killed", {.launched = true, .killed = true}, 74},
        {"fenced", {.launched = true, .fenced = true, .shipped = true, .child_exit_code = 7}, 76},
        {"fenced and not shipped", {.launched = true, .fenced = true, .killed = true}, 76},
    };

    for (size_t at = 0; at < COUNT(cases); at++) {
        int code = life_exit_code(&cases[at].outcome);
        if (!EXPECT(code == cases[at].code))
            printf("#   %s: %d, not %d\n", cases[at].what, code, cases[at].code);
    }
}

TEST(an_error_has_one_exit_code)
{
    static const struct {
        struct err err;
        int code;
    } cases[] = {
        {{.code = ERR_CONFIG}, 64},
        {{.code = ERR_DENIED}, 64},
        {{.code = ERR_NOT_FOUND}, 64},
        {{.code = ERR_CORRUPT}, 65},
        {{.code = ERR_TRANSIENT}, 74},
        {{.code = ERR_CONFLICT}, 74},
        {{.code = ERR_SYSTEM}, 74},
        {{.code = ERR_SYSTEM, .number = EIO}, 74},
        {{.code = ERR_SYSTEM, .number = ENOSPC}, 64},
        {{.code = ERR_SYSTEM, .number = EDQUOT}, 64},
        {{.code = ERR_FENCED}, 76},
        {{.code = ERR_CANCELED}, 0},
    };

    for (size_t at = 0; at < COUNT(cases); at++)
        EXPECT_INT(life_error_exit_code(&cases[at].err), cases[at].code);
    EXPECT_INT(life_command_exit_code(&(struct err){.code = ERR_NOT_FOUND}), 127);
    EXPECT_INT(life_command_exit_code(&(struct err){.code = ERR_DENIED}), 126);
    EXPECT_INT(life_command_exit_code(&(struct err){.code = ERR_SYSTEM, .number = ENOEXEC}), 126);
}

TEST(time_that_is_not_used_moves_on_to_the_flush)
{
    struct life_budget budget = {.begin_ms = 1000, .total_ms = 25000};

    EXPECT_INT(life_drain_deadline(&budget), 6000);
    EXPECT_INT(life_child_deadline(&budget, 1200), 11200);
    EXPECT_INT(life_flush_ms(&budget, 1500), 24500);
}

TEST(the_worst_case_leaves_two_fifths_for_the_flush)
{
    struct life_budget budget = {.begin_ms = 0, .total_ms = 10000};
    uint64_t drained_ms = life_drain_deadline(&budget);
    uint64_t ended_ms = life_child_deadline(&budget, drained_ms);

    EXPECT_INT(ended_ms, 6000);
    EXPECT_INT(life_flush_ms(&budget, ended_ms), 4000);
}

TEST(the_flush_has_time_even_if_the_others_overran)
{
    struct life_budget budget = {.begin_ms = 0, .total_ms = 10000};

    EXPECT_INT(life_child_deadline(&budget, 9000), 10000);
    EXPECT_INT(life_flush_ms(&budget, 60000), 2000);
}

TAP_MAIN()
