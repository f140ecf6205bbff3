/* A base that somebody asks for: begun after the question, told with the record that announced it, shared by
 * all who asked in time, and refused where it will never come. */
#include "snapshot/engine.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/double/life.h"
#include "tests/tap.h"

static void begin_and_settle(struct life *life)
{
    life_set_up(life);
    REQUIRE(life_begin(life));
    engine_answered(life->engine);
    REQUIRE(life_commit(life, 3));
    REQUIRE(life_settle(life));
}

static uint64_t ask(struct life *life)
{
    struct err err = {0};
    uint64_t request = 0;

    EXPECT_OK(engine_ask_base(life->engine, &request, &err), &err);
    return request;
}

/* Waits while the answer is that it waits. */
static enum engine_answer await_answer(struct life *life, uint64_t request, struct engine_base *ret_base)
{
    uint64_t limit_ms = clock_monotonic_ms() + LIFE_LIMIT_MS;
    enum engine_answer answer;

    do {
        answer = engine_answer_base(life->engine, request, ret_base);
        if (answer == ENGINE_ANSWER_WAITS)
            (void)event_wait(engine_event_fd(life->engine), 20);
    } while (answer == ENGINE_ANSWER_WAITS && clock_monotonic_ms() < limit_ms);
    return answer;
}

static void expect_refusal(struct life *life, const char *part)
{
    struct err err = {0};
    uint64_t request = 0;

    EXPECT(!engine_ask_base(life->engine, &request, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    if (!EXPECT(strstr(err.text, part)))
        printf("#   %s\n", err.text);
}

TEST(a_base_that_is_asked_for_is_cut_although_nothing_has_changed)
{
    struct engine_base first = {0}, second = {0};
    struct life life;
    size_t bases;

    begin_and_settle(&life);
    bases = store_mem_count(life.mem, "base/");
    EXPECT_INT(await_answer(&life, ask(&life), &first), ENGINE_ANSWER_BASE);
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases + 1);
    EXPECT(first.record > 1 && first.position == first.record - 1 && first.time_ns > 0);
    EXPECT(life_await(&life, life_is_durable));
    EXPECT_INT(life.status.durable_record, first.record);
    EXPECT_INT(await_answer(&life, ask(&life), &second), ENGINE_ANSWER_BASE);
    EXPECT_INT(second.record, first.record + 1);
    EXPECT(second.time_ns >= first.time_ns);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(one_base_answers_all_that_were_asked_before_it_began)
{
    struct engine_base base = {0}, other = {0};
    struct life life;
    uint64_t requests[3];
    size_t bases, records;

    begin_and_settle(&life);
    bases = store_mem_count(life.mem, "base/");
    records = store_fault_count(life.faulty, "create", "log/");
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "create", .key = "log/", .times = 1, .kind = FAULT_HOLD});
    scratch_write(life.disk.fd, "file", "x");
    store_fault_await(life.faulty, "create", "log/", records + 1);
    for (size_t at = 0; at < 3; at++)
        requests[at] = ask(&life);
    EXPECT_INT(engine_answer_base(life.engine, requests[0], &base), ENGINE_ANSWER_WAITS);
    store_fault_clear(life.faulty);
    EXPECT_INT(await_answer(&life, requests[2], &base), ENGINE_ANSWER_BASE);
    EXPECT_INT(engine_answer_base(life.engine, requests[0], &other), ENGINE_ANSWER_BASE);
    EXPECT_INT(other.record, base.record);
    EXPECT_INT(store_mem_count(life.mem, "base/"), bases + 1);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(a_base_that_had_begun_before_the_question_is_no_answer)
{
    struct engine_base first = {0}, second = {0};
    struct life life;
    uint64_t early, late;
    size_t manifests;

    begin_and_settle(&life);
    manifests = store_fault_count(life.faulty, "put", "base/");
    store_fault_add(life.faulty, &(struct store_fault){
                                     .operation = "put", .key = "base/", .times = 1, .kind = FAULT_HOLD});
    early = ask(&life);
    store_fault_await(life.faulty, "put", "base/", manifests + 1);
    late = ask(&life);
    store_fault_clear(life.faulty);
    EXPECT_INT(await_answer(&life, early, &first), ENGINE_ANSWER_BASE);
    EXPECT_INT(await_answer(&life, late, &second), ENGINE_ANSWER_BASE);
    EXPECT_INT(store_fault_count(life.faulty, "put", "base/"), manifests + 2);
    EXPECT(second.record > 1);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

/* Records go on without it, so that is no degradation. */
static bool has_warned(const struct engine_status *status)
{
    return status->warnings_count > 0;
}

TEST(while_the_store_is_away_it_waits)
{
    struct engine_base base = {0};
    struct life life;
    uint64_t request;

    begin_and_settle(&life);
    store_fault_add(life.faulty, &(struct store_fault){.kind = FAULT_BEFORE, .code = ERR_DENIED});
    request = ask(&life);
    REQUIRE(life_await(&life, has_warned));
    EXPECT_INT(engine_answer_base(life.engine, request, &base), ENGINE_ANSWER_WAITS);
    store_fault_clear(life.faulty);
    EXPECT_INT(await_answer(&life, request, &base), ENGINE_ANSWER_BASE);
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TEST(it_is_refused_before_the_backend_has_answered_and_when_a_stop_was_asked_for)
{
    struct engine_base base = {0};
    struct life life;
    uint64_t request;

    life_set_up(&life);
    REQUIRE(life_begin(&life));
    expect_refusal(&life, "has not answered yet");
    EXPECT_INT(engine_answer_base(life.engine, 0, &base), ENGINE_ANSWER_UNKNOWN);
    EXPECT_INT(engine_answer_base(life.engine, 1, &base), ENGINE_ANSWER_UNKNOWN);
    engine_answered(life.engine);
    REQUIRE(life_commit(&life, 3));
    REQUIRE(life_settle(&life));
    store_fault_add(
        life.faulty,
        &(struct store_fault){.operation = "put", .key = "base/", .kind = FAULT_BEFORE, .code = ERR_DENIED});
    request = ask(&life);
    REQUIRE(life_await(&life, has_warned));
    engine_drain(life.engine, 5000);
    expect_refusal(&life, "is stopping");
    EXPECT_INT(engine_answer_base(life.engine, request, &base), ENGINE_ANSWER_REFUSED);
    store_fault_clear(life.faulty);
    engine_flush(life.engine, 5000);
    REQUIRE(life_await(&life, life_is_over));
    expect_refusal(&life, "is stopping");
    EXPECT_INT(life_end(&life), ENGINE_DONE);
    life_tear_down(&life);
}

TAP_MAIN()
