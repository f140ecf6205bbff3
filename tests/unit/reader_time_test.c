/* A time names the last record that is not later, whatever else is damaged; or says which object hides it. */
#include "snapshot/reader.h"

#include "base/clock.h"
#include "tests/double/store_fault.h"
#include "tests/double/story.h"
#include "tests/tap.h"

#include <pthread.h>

enum { STEPS = 18, RECORDS_MAX = 40, CLOCK_STEP_S = 2 };

/* A log whose times are known: some records share theirs with the one before, the others are 2 s apart. */
struct clocked {
    struct story story;
    uint64_t time_ns[RECORDS_MAX];
    bool is_lost[RECORDS_MAX];
    uint64_t horizon, head;
};

static void set_up(struct clocked *clocked, uint64_t seed)
{
    *clocked = (struct clocked){.horizon = 0};
    story_begin(&clocked->story, seed);
    for (int step = 0; step < STEPS; step++) {
        struct record_header *newest = &clocked->story.history.log.newest;
        newest->time_ns += step % 3 == 0 ? 0 : CLOCK_STEP_S * NS_PER_SECOND;
        if (step == STEPS / 2)
            story_cut(&clocked->story, history_head(&clocked->story.history), 0, false);
        else
            story_step(&clocked->story);
        clocked->time_ns[history_head(&clocked->story.history)] = newest->time_ns;
    }
    clocked->head = history_head(&clocked->story.history);
    clocked->horizon = clocked->story.history.log.newest.horizon;
    if (clocked->time_ns[clocked->horizon] == 0) /* before the steps */
        clocked->time_ns[clocked->horizon] = clocked->time_ns[clocked->horizon + 1];
}

static void tear_down(struct clocked *clocked)
{
    story_end(&clocked->story);
}

/* The last record that is not later; the record below the horizon if there is none. */
static uint64_t last_not_later(const struct clocked *clocked, uint64_t time_ns, bool only_readable)
{
    uint64_t last = clocked->horizon - 1;

    for (uint64_t at = clocked->horizon; at <= clocked->head; at++)
        if (clocked->time_ns[at] <= time_ns && !(only_readable && clocked->is_lost[at]))
            last = at;
    return last;
}

/* Names record `last`, or says that none can be named, and an object that is lost. */
static void expect_remedy(const struct clocked *clocked, uint64_t last, const struct err *err)
{
    char remedy[64];
    bool names_one = strncmp(err->text, "pack/", 5) == 0;

    (void)snprintf(remedy, sizeof(remedy), "ask for record %" PRIu64 ",", last);
    EXPECT_INT(err->code, ERR_CORRUPT);
    if (!EXPECT(strstr(err->text, last < clocked->horizon ? "holdfast list" : remedy) != NULL))
        printf("#   not record %" PRIu64 ": %s\n", last, err->text);
    for (uint64_t at = clocked->horizon; at < clocked->head; at++)
        names_one |= clocked->is_lost[at] && strstr(err->text, key_log(at).text) == err->text;
    EXPECT(names_one);
}

static void expect_time(struct clocked *clocked, uint64_t time_ns)
{
    uint64_t last = last_not_later(clocked, time_ns, true), found = 77;
    bool is_certain = last == clocked->head || !clocked->is_lost[last + 1];
    struct err err = {0};

    if (!EXPECT(reader_find_time(clocked->story.history.mem, time_ns, &found, &err) == is_certain))
        printf("#   after record %" PRIu64 ": %s\n", last, is_certain ? err.text : "an answer");
    if (!is_certain) {
        EXPECT_INT(found, 77);
        expect_remedy(clocked, last, &err);
        return;
    }
    EXPECT_INT(found, last >= clocked->horizon ? last : 0);
    EXPECT_INT(last, last_not_later(clocked, time_ns, false));
}

/* Every time that is one of a record, and those around it. */
static void expect_times(struct clocked *clocked)
{
    for (uint64_t at = clocked->horizon; at <= clocked->head; at++)
        for (uint64_t second = 0; second < 3; second++)
            expect_time(clocked, clocked->time_ns[at] + second * NS_PER_SECOND - NS_PER_SECOND);
}

/* Takes the records of a run away, each by damage or by deletion. */
static void lose(struct clocked *clocked, uint64_t first, uint64_t last, bool deleted)
{
    for (uint64_t at = first; at <= last; at++) {
        struct err err = {0};
        struct key key = key_log(at);
        clocked->is_lost[at] = true;
        if (deleted)
            EXPECT_OK(store_delete(clocked->story.history.mem, key.text, &err), &err);
        else
            EXPECT_OK(store_put(clocked->story.history.mem, key.text, "junk", 4, &err), &err);
    }
}

/* One run of so many records, at each place below the head. */
static void lose_each_run(uint64_t count, bool deleted)
{
    uint64_t past = 0;

    for (uint64_t first = 0; first == 0 || first + count <= past; first++) {
        struct clocked clocked;
        set_up(&clocked, 1);
        first = first == 0 ? clocked.horizon : first;
        past = clocked.head;
        lose(&clocked, first, first + count - 1, deleted);
        expect_times(&clocked);
        tear_down(&clocked);
    }
}

TEST(a_damaged_record_hides_only_the_times_that_may_mean_it)
{
    lose_each_run(1, false);
}

TEST(so_does_one_that_is_missing)
{
    lose_each_run(1, true);
}

TEST(so_do_several_in_a_row)
{
    lose_each_run(4, false);
    lose_each_run(4, true);
}

TEST(and_several_here_and_there)
{
    for (uint64_t every = 2; every < 6; every++) {
        struct clocked clocked;
        set_up(&clocked, 2);
        for (uint64_t at = clocked.horizon + every; at < clocked.head; at += every)
            lose(&clocked, at, at, every % 2 == 0);
        expect_times(&clocked);
        tear_down(&clocked);
    }
}

TEST(where_only_the_head_is_left_its_time_is_the_only_one_that_is_known)
{
    struct clocked clocked;

    set_up(&clocked, 3);
    lose(&clocked, clocked.horizon, clocked.head - 1, false);
    expect_times(&clocked);
    tear_down(&clocked);
}

TEST(a_damaged_pack_hides_the_times_of_all_its_records)
{
    for (uint64_t each = 2; each < 6; each++) {
        struct clocked clocked;
        struct err err = {0};
        uint64_t first;
        set_up(&clocked, 4);
        first = clocked.horizon + each;
        history_pack(&clocked.story.history, first, first + each);
        history_pack(&clocked.story.history, first + each + 1, first + 2 * each + 1);
        EXPECT_OK(store_put(clocked.story.history.mem, key_pack(first, first + each).text, "junk", 4, &err),
                  &err);
        for (uint64_t at = first; at <= first + each; at++)
            clocked.is_lost[at] = true;
        expect_times(&clocked);
        tear_down(&clocked);
    }
}

/* --- under the reader's hands ------------------------------------------------------------------------ */

struct looking {
    struct store *store;
    uint64_t time_ns;
    uint64_t found;
};

static void *look(void *context)
{
    struct looking *looking = context;
    struct err err = {0};

    EXPECT_OK(reader_find_time(looking->store, looking->time_ns, &looking->found, &err), &err);
    return NULL;
}

/* A base of its own horizon, and nothing is left below it. */
static void prune_all(struct clocked *clocked)
{
    struct history *history = &clocked->story.history;
    struct err err = {0};

    clocked->story.base = 0;
    history->log.newest.horizon = 0;
    story_cut(&clocked->story, history_head(history), 0, false);
    EXPECT_INT(history->log.newest.horizon, history_head(history));
    for (uint64_t at = 1; at < history_head(history); at++)
        EXPECT_OK(store_delete(history->mem, key_log(at).text, &err), &err);
}

TEST(what_is_pruned_while_it_is_looked_for_is_no_damage)
{
    struct clocked clocked;
    struct looking looking = {.found = 77};
    pthread_t thread;

    set_up(&clocked, 5);
    looking.time_ns = clocked.time_ns[clocked.horizon + 4];
    looking.store = store_fault_new(clocked.story.history.mem);
    store_fault_add(
        looking.store,
        &(struct store_fault){.operation = "get", .key = "log/", .skip = 1, .times = 1, .kind = FAULT_HOLD});
    REQUIRE(pthread_create(&thread, NULL, look, &looking) == 0);
    store_fault_await(looking.store, "get", "log/", 2); /* the head, and the first in the middle */
    prune_all(&clocked);
    store_fault_release(looking.store);
    pthread_join(thread, NULL);
    EXPECT_INT(looking.found, 0); /* before the first point, as it is now */
    store_free(looking.store);
    tear_down(&clocked);
}

TAP_MAIN()
