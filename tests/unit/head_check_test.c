/* An owner that only serves notices a takeover, and costs nothing while nobody asks (protocol.md: H12). */
#include "snapshot/head_check.h"

#include "tests/double/ledger.h"
#include "tests/tap.h"

enum { NOW = 1000000 };

TEST(without_traffic_there_is_no_look)
{
    struct head_check check = {0};

    for (uint64_t now = NOW; now < NOW + 3600000; now += 1000)
        EXPECT(!head_check_is_due(&check, 1, 0, now));
}

TEST(with_traffic_there_is_one_look_in_five_seconds)
{
    struct head_check check = {0};
    uint64_t traffic = 0;
    int looks = 0;

    for (uint64_t now = NOW; now < NOW + 60000; now += 50)
        looks += head_check_is_due(&check, 1, ++traffic, now);
    EXPECT_INT(looks, 11);
}

TEST(what_was_asked_right_after_a_confirmed_record_is_not_looked_after_later)
{
    struct head_check check = {0};

    EXPECT(!head_check_is_due(&check, 1, 0, NOW));
    EXPECT(!head_check_is_due(&check, 1, 7, NOW + 1000));
    for (uint64_t now = NOW + 2000; now < NOW + 60000; now += 1000)
        EXPECT(!head_check_is_due(&check, 1, 7, now));
    EXPECT(head_check_is_due(&check, 1, 8, NOW + 60000));
}

TEST(the_first_request_after_a_silence_is_looked_after_at_once_and_once)
{
    struct head_check check = {0};

    EXPECT(!head_check_is_due(&check, 1, 0, NOW));
    EXPECT(!head_check_is_due(&check, 1, 0, NOW + 100000));
    EXPECT(head_check_is_due(&check, 1, 1, NOW + 100001));
    EXPECT(!head_check_is_due(&check, 1, 1, NOW + 200000));
    EXPECT(head_check_is_due(&check, 1, 2, NOW + 200001));
}

TEST(an_owner_whose_records_are_confirmed_does_not_look)
{
    struct head_check check = {0};
    uint64_t record = 1;

    for (uint64_t now = NOW; now < NOW + 60000; now += 1000)
        EXPECT(!head_check_is_due(&check, now % 4000 == 0 ? ++record : record, now, now));
}

static bool looks(struct ledger *ledger, struct log *log, enum err_code *ret_code)
{
    bool landed = false;
    struct err err = {0};

    log->once = ledger->faulty;
    *ret_code = head_check_look(log, &landed, &err) ? ERR_NONE : err.code;
    return landed;
}

/* A second hand on the same log, as it stands now. */
static void follow(struct ledger *ledger, struct log *ret_log)
{
    log_init(ret_log, ledger->faulty, ledger->faulty, &ledger->log.newest.lineage);
    log_follow(ret_log, &ledger->log.newest, &ledger->log.newest_hash);
}

TEST(an_owner_that_is_still_the_newest_pays_one_head_request)
{
    struct ledger ledger;
    enum err_code code;

    ledger_set_up(&ledger);
    EXPECT(!looks(&ledger, &ledger.log, &code));
    EXPECT_INT(code, ERR_NONE);
    EXPECT_INT(store_fault_count(ledger.faulty, "stat", NULL), 1);
    EXPECT_INT(store_fault_count(ledger.faulty, "get", NULL), 0);
    ledger_tear_down(&ledger);
}

TEST(a_successors_open_is_a_fence)
{
    struct ledger ledger;
    struct log stale;
    enum err_code code;

    ledger_set_up(&ledger);
    follow(&ledger, &stale);
    ledger_open(&ledger);
    EXPECT(!looks(&ledger, &stale, &code));
    EXPECT_INT(code, ERR_FENCED);
    log_clear(&stale);
    ledger_tear_down(&ledger);
}

TEST(the_own_record_in_flight_has_landed_and_anothers_is_a_fence)
{
    struct ledger ledger;
    struct log stale;
    struct log_change close = {.kind = RECORD_CLOSE};
    enum err_code code;
    struct err err = {0};

    ledger_set_up(&ledger);
    follow(&ledger, &stale);
    store_fault_add(
        ledger.faulty,
        &(struct store_fault){.operation = "create", .times = 2, .kind = FAULT_AFTER, .code = ERR_TRANSIENT});
    store_fault_add(
        ledger.faulty,
        &(struct store_fault){.operation = "get", .times = 1, .kind = FAULT_BEFORE, .code = ERR_TRANSIENT});
    log_freeze(&ledger.log, &ledger.owner, &close);
    EXPECT(!log_send(&ledger.log, &err));
    REQUIRE(log_in_flight(&ledger.log));
    store_fault_clear(ledger.faulty);
    EXPECT(looks(&ledger, &ledger.log, &code));
    EXPECT_INT(code, ERR_NONE);
    REQUIRE_OK(log_send(&ledger.log, &err), &err); /* which confirms it */
    log_freeze(&stale, &ledger.owner, &close);
    EXPECT(!looks(&ledger, &stale, &code));
    EXPECT_INT(code, ERR_FENCED);
    log_clear(&stale);
    ledger_tear_down(&ledger);
}

TEST(what_is_not_certain_is_no_fence)
{
    static const struct store_fault faults[] = {
        {.operation = "stat", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT},
        {.operation = "stat", .kind = FAULT_BEFORE, .code = ERR_DENIED},
        {.operation = "get", .kind = FAULT_BEFORE, .code = ERR_TRANSIENT},
        {.operation = "get", .kind = FAULT_BEFORE, .code = ERR_NOT_FOUND},
        {.operation = "get", .kind = FAULT_FLIP},
        {.operation = "get", .kind = FAULT_TRUNCATE},
    };
    struct ledger ledger;
    struct log stale;
    enum err_code code;

    ledger_set_up(&ledger);
    follow(&ledger, &stale);
    ledger_open(&ledger);
    for (size_t at = 0; at < sizeof(faults) / sizeof(faults[0]); at++) {
        store_fault_add(ledger.faulty, &faults[at]);
        EXPECT(!looks(&ledger, &stale, &code));
        EXPECT_INT(code, ERR_NONE);
        store_fault_clear(ledger.faulty);
    }
    (void)looks(&ledger, &stale, &code);
    EXPECT_INT(code, ERR_FENCED);
    log_clear(&stale);
    ledger_tear_down(&ledger);
}

TAP_MAIN()
