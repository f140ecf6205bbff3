/* Every row of the table "Local or remote at start". */
#include "snapshot/decide.h"

#include "tests/tap.h"

struct row {
    const char *says;
    struct decide_facts facts;
    bool refused;
    enum decision decision;
};

static void check(const struct row *row)
{
    enum decision decision = DECIDE_ADOPT;
    struct err err = {0};
    bool decided = decide_start(&row->facts, &decision, &err);

    printf("# %s\n", row->says);
    EXPECT_INT(decided, !row->refused);
    if (row->refused) {
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(strstr(err.text, row->facts.rolls_back ? "HOLDFAST_RESTORE_AT" : "HOLDFAST_ADOPT") != NULL);
    } else if (decided) {
        EXPECT_INT(decision, row->decision);
    }
}

#define FACTS(...)  \
    {               \
        __VA_ARGS__ \
    }
#define STATE .has_state = true, .same_lineage = true
#define FOREIGN .has_state = true, .same_lineage = false

TEST(an_empty_store_is_a_first_boot_an_adoption_or_a_mistake)
{
    static const struct row rows[] = {
        {"nothing anywhere", FACTS(.store_empty = true, .directory_empty = true), false, DECIDE_FIRST_BOOT},
        {"data without a state file", FACTS(.store_empty = true), false, DECIDE_ADOPT},
        {"data with a state file", FACTS(.store_empty = true, .has_state = true), true, 0},
        {"a state file and nothing else",
         FACTS(.store_empty = true, .has_state = true, .directory_empty = true), true, 0},
        {"remote can't win over nothing",
         FACTS(.store_empty = true, .has_state = true, .adopt = ADOPT_REMOTE), true, 0},
        {"the operator means it", FACTS(.store_empty = true, .has_state = true, .adopt = ADOPT_LOCAL), false,
         DECIDE_NEW_LINEAGE},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        check(&rows[at]);
}

TEST(a_store_without_an_announced_base_has_nothing_to_lose)
{
    static const struct row rows[] = {
        {"empty directory", FACTS(.directory_empty = true), false, DECIDE_FIRST_BOOT},
        {"empty directory, state file", FACTS(.directory_empty = true, STATE, .answered = true), false,
         DECIDE_FIRST_BOOT},
        {"a first boot that never answered", FACTS(STATE), false, DECIDE_NEW_FIRST_BOOT},
        {"it served and could not ship", FACTS(STATE, .answered = true), false, DECIDE_KEEP},
        {"data without a state file", FACTS(.adopt = ADOPT_REFUSE), false, DECIDE_ADOPT},
        {"a cut-off exchange", FACTS(STATE, .answered = true, .restoring = true), false,
         DECIDE_NEW_FIRST_BOOT},
        {"another lineage", FACTS(FOREIGN), true, 0},
        {"another lineage, local", FACTS(FOREIGN, .adopt = ADOPT_LOCAL), false, DECIDE_ADOPT},
        {"another lineage, remote", FACTS(FOREIGN, .adopt = ADOPT_REMOTE), false, DECIDE_NEW_FIRST_BOOT},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        check(&rows[at]);
}

TEST(with_a_base_local_stays_only_where_it_can_be_proved)
{
    static const struct row rows[] = {
        {"empty directory", FACTS(.has_base = true, .directory_empty = true), false, DECIDE_RESTORE},
        {"empty directory, old state file",
         FACTS(.has_base = true, .directory_empty = true, STATE, .shipped_last = true), false,
         DECIDE_RESTORE},
        {"a restore was cut off", FACTS(.has_base = true, STATE, .restoring = true, .shipped_last = true),
         false, DECIDE_RESTORE},
        {"it shipped the newest", FACTS(.has_base = true, STATE, .answered = true, .shipped_last = true),
         false, DECIDE_KEEP_IF_PROVED},
        {"another container shipped since", FACTS(.has_base = true, STATE, .answered = true), false,
         DECIDE_RESTORE_OVER},
        {"a permanent ADOPT=local proves nothing", FACTS(.has_base = true, STATE, .adopt = ADOPT_LOCAL),
         false, DECIDE_RESTORE_OVER},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        check(&rows[at]);
}

TEST(two_strangers_are_for_the_operator_to_tell_apart)
{
    static const struct row rows[] = {
        {"other data", FACTS(.has_base = true), true, 0},
        {"other data, local", FACTS(.has_base = true, .adopt = ADOPT_LOCAL), false, DECIDE_ADOPT},
        {"other data, remote", FACTS(.has_base = true, .adopt = ADOPT_REMOTE), false, DECIDE_RESTORE_OVER},
        {"another lineage", FACTS(.has_base = true, FOREIGN, .answered = true), true, 0},
        {"another lineage, local", FACTS(.has_base = true, FOREIGN, .adopt = ADOPT_LOCAL), false,
         DECIDE_ADOPT},
        {"another lineage, remote", FACTS(.has_base = true, FOREIGN, .adopt = ADOPT_REMOTE), false,
         DECIDE_RESTORE_OVER},
        {"another lineage, cut off there", FACTS(.has_base = true, FOREIGN, .restoring = true), true, 0},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        check(&rows[at]);
}

TEST(a_roll_back_takes_the_store_wherever_the_store_may_win)
{
    static const struct row rows[] = {
        {"empty directory", FACTS(.rolls_back = true, .has_base = true, .directory_empty = true), false,
         DECIDE_RESTORE},
        {"a restore was cut off", FACTS(.rolls_back = true, .has_base = true, STATE, .restoring = true),
         false, DECIDE_RESTORE},
        {"it shipped the newest",
         FACTS(.rolls_back = true, .has_base = true, STATE, .answered = true, .shipped_last = true), false,
         DECIDE_RESTORE_OVER},
        {"another container shipped since",
         FACTS(.rolls_back = true, .has_base = true, STATE, .answered = true), false, DECIDE_RESTORE_OVER},
        {"other data, remote", FACTS(.rolls_back = true, .has_base = true, .adopt = ADOPT_REMOTE), false,
         DECIDE_RESTORE_OVER},
        {"other data, local", FACTS(.rolls_back = true, .has_base = true, .adopt = ADOPT_LOCAL), true, 0},
        {"an empty store", FACTS(.rolls_back = true, .store_empty = true, .directory_empty = true), true, 0},
        {"no base", FACTS(.rolls_back = true, .directory_empty = true), true, 0},
        {"no base, it served", FACTS(.rolls_back = true, STATE, .answered = true), true, 0},
    };

    for (size_t at = 0; at < sizeof(rows) / sizeof(rows[0]); at++)
        check(&rows[at]);
}

TEST(a_roll_back_needs_the_operator_s_word_for_strangers_as_any_start)
{
    struct decide_facts facts = {.rolls_back = true, .has_base = true};
    enum decision decision = DECIDE_ADOPT;
    struct err err = {0};

    EXPECT(!decide_start(&facts, &decision, &err));
    EXPECT(err.code == ERR_CONFIG && strstr(err.text, "HOLDFAST_ADOPT") != NULL);
}

TAP_MAIN()
