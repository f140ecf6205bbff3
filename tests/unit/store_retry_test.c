#include "snapshot/store/config.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

/* A retrying store over a faulty one over one in memory. */
struct stack {
    struct store *mem, *faulty, *retry;
    atomic_bool canceled;
};

static void stack_open(struct stack *stack, uint64_t deadline_ms)
{
    stack->mem = store_mem_new();
    stack->faulty = store_fault_new(stack->mem);
    atomic_init(&stack->canceled, false);
    stack->retry = store_retry(stack->faulty, deadline_ms, &stack->canceled);
}

static void stack_close(struct stack *stack)
{
    store_free(stack->retry);
    store_free(stack->faulty);
    store_free(stack->mem);
}

#define STACK(deadline_ms)                                                            \
    __attribute__((cleanup(stack_close))) struct stack stack;                         \
    CLEANUP(buf_clearp) __attribute__((unused)) struct buf contents = BUF_INIT(1024); \
    struct err err = {0};                                                             \
    stack_open(&stack, deadline_ms)

static void fail(struct stack *stack, const char *operation, size_t times, enum fault_kind kind,
                 enum err_code code)
{
    store_fault_add(stack->faulty, &(struct store_fault){
                                       .operation = operation, .times = times, .kind = kind, .code = code});
}

TEST(a_transient_error_is_tried_again_until_it_passes)
{
    STACK(10000);
    fail(&stack, "put", 2, FAULT_BEFORE, ERR_TRANSIENT);
    REQUIRE_OK(store_put(stack.retry, "a", "one", 3, &err), &err);
    REQUIRE_OK(store_get(stack.retry, "a", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "one");
    EXPECT_INT(store_fault_count(stack.faulty, "put", NULL), 3);
}

TEST(every_reading_call_is_tried_again)
{
    uint64_t size = 0;
    STACK(10000);
    REQUIRE_OK(store_put(stack.mem, "a", "one", 3, &err), &err);
    fail(&stack, "get", 1, FAULT_BEFORE, ERR_TRANSIENT);
    fail(&stack, "stat", 1, FAULT_BEFORE, ERR_TRANSIENT);
    fail(&stack, "delete", 1, FAULT_AFTER, ERR_TRANSIENT);
    EXPECT_OK(store_get(stack.retry, "a", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "one");
    EXPECT_OK(store_stat(stack.retry, "a", &size, &err), &err);
    EXPECT_INT(size, 3);
    EXPECT_OK(store_delete(stack.retry, "a", &err), &err);
    EXPECT_INT(store_mem_count(stack.mem, ""), 0);
}

TEST(no_other_error_is_tried_again)
{
    static const enum err_code codes[] = {ERR_CONFIG,  ERR_DENIED,   ERR_NOT_FOUND,
                                          ERR_CORRUPT, ERR_CANCELED, ERR_SYSTEM};
    STACK(10000);

    for (size_t at = 0; at < sizeof(codes) / sizeof(codes[0]); at++) {
        size_t before = store_fault_count(stack.faulty, "get", NULL);
        store_fault_clear(stack.faulty);
        fail(&stack, "get", 0, FAULT_BEFORE, codes[at]);
        EXPECT(!store_get(stack.retry, "a", &contents, &err));
        EXPECT_INT(err.code, codes[at]);
        EXPECT_INT(store_fault_count(stack.faulty, "get", NULL) - before, 1);
    }
}

TEST(the_deadline_ends_the_attempts_and_the_text_counts_them)
{
    uint64_t begun_ms = clock_monotonic_ms();
    STACK(400);
    fail(&stack, "get", 0, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT(!store_get(stack.retry, "a", &contents, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT(strstr(err.text, "gave up after ") && strstr(err.text, "made to fail"));
    EXPECT(store_fault_count(stack.faulty, "get", NULL) >= 2);
    EXPECT(clock_monotonic_ms() - begun_ms < 400 + 1000);
}

TEST(without_a_deadline_there_is_one_attempt)
{
    STACK(0);
    fail(&stack, "get", 0, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT(!store_get(stack.retry, "a", &contents, &err));
    EXPECT_INT(store_fault_count(stack.faulty, "get", NULL), 1);
    EXPECT(!strstr(err.text, "gave up"));
}

TEST(the_pause_that_the_store_asked_for_wins_over_the_backoff)
{
    uint64_t begun_ms;
    STACK(10000);
    fail(&stack, "put", 1, FAULT_BEFORE, ERR_TRANSIENT);
    store_fault_pause(stack.faulty, 350);
    begun_ms = clock_monotonic_ms();
    EXPECT_OK(store_put(stack.retry, "a", "one", 3, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms >= 350);
}

TEST(a_pause_beyond_the_deadline_is_not_waited_for)
{
    uint64_t begun_ms;
    STACK(5000);
    fail(&stack, "put", 1, FAULT_BEFORE, ERR_TRANSIENT);
    store_fault_pause(stack.faulty, 60000);
    begun_ms = clock_monotonic_ms();
    EXPECT(!store_put(stack.retry, "a", "one", 3, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT(clock_monotonic_ms() - begun_ms < 4000);
}

static void *cancel_when_it_waits(void *context)
{
    struct stack *stack = context;

    store_fault_await(stack->faulty, "put", NULL, 1);
    atomic_store(&stack->canceled, true);
    return NULL;
}

TEST(canceling_ends_the_wait_between_attempts_at_once)
{
    pthread_t thread;
    uint64_t begun_ms;
    STACK(60000);
    fail(&stack, "put", 0, FAULT_BEFORE, ERR_TRANSIENT);
    store_fault_pause(stack.faulty, 30000);
    begun_ms = clock_monotonic_ms();
    REQUIRE_OK(thread_start(&thread, "cancel", cancel_when_it_waits, &stack, &err), &err);
    EXPECT(!store_put(stack.retry, "a", "one", 3, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT(clock_monotonic_ms() - begun_ms < 2000);
    EXPECT_INT(store_fault_count(stack.faulty, "put", NULL), 1);
    pthread_join(thread, NULL);
}

TEST(a_create_that_was_carried_out_but_reported_broken_is_a_success)
{
    STACK(10000);
    fail(&stack, "create", 1, FAULT_AFTER, ERR_TRANSIENT);
    EXPECT_OK(store_create(stack.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_INT(store_fault_count(stack.faulty, "create", NULL), 1);
    EXPECT_INT(store_fault_count(stack.faulty, "get", NULL), 1);
}

TEST(a_conflict_with_our_own_bytes_is_a_success)
{
    STACK(10000);
    fail(&stack, "create", 1, FAULT_AFTER, ERR_CONFLICT);
    EXPECT_OK(store_create(stack.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_INT(store_fault_count(stack.faulty, "create", NULL), 1);
}

TEST(a_conflict_with_other_bytes_is_a_conflict)
{
    static const char *const others[] = {"", "our", "OURS", "ours and more"};
    STACK(10000);

    for (size_t at = 0; at < sizeof(others) / sizeof(others[0]); at++) {
        REQUIRE_OK(store_put(stack.mem, "log/1", others[at], strlen(others[at]), &err), &err);
        EXPECT(!store_create(stack.retry, "log/1", "ours", 4, &err));
        EXPECT_INT(err.code, ERR_CONFLICT);
        EXPECT(strstr(err.text, "log/1"));
    }
}

TEST(a_broken_create_that_meets_another_writer_is_a_conflict)
{
    STACK(10000);
    REQUIRE_OK(store_put(stack.mem, "log/1", "theirs", 6, &err), &err);
    fail(&stack, "create", 1, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT(!store_create(stack.retry, "log/1", "ours!!", 6, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT_INT(store_fault_count(stack.faulty, "create", NULL), 1);
}

TEST(a_broken_create_that_left_nothing_is_sent_again)
{
    STACK(10000);
    fail(&stack, "create", 1, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT_OK(store_create(stack.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_INT(store_fault_count(stack.faulty, "create", NULL), 2);
    EXPECT_OK(store_get(stack.mem, "log/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "ours");
}

TEST(a_conflict_over_an_absent_key_stays_a_conflict)
{
    STACK(10000);
    fail(&stack, "create", 1, FAULT_BEFORE, ERR_CONFLICT);
    EXPECT(!store_create(stack.retry, "log/1", "ours", 4, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT(strstr(err.text, "absent"));
    EXPECT_INT(store_fault_count(stack.faulty, "create", NULL), 1);
}

TEST(reading_back_is_tried_again_too)
{
    STACK(10000);
    fail(&stack, "create", 1, FAULT_AFTER, ERR_TRANSIENT);
    fail(&stack, "get", 2, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT_OK(store_create(stack.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_INT(store_fault_count(stack.faulty, "get", NULL), 3);
}

TEST(a_create_in_doubt_that_can_not_be_read_back_says_so)
{
    STACK(300);
    fail(&stack, "create", 0, FAULT_AFTER, ERR_CONFLICT);
    fail(&stack, "get", 0, FAULT_BEFORE, ERR_TRANSIENT);
    EXPECT(!store_create(stack.retry, "log/1", "ours", 4, &err));
    EXPECT_INT(err.code, ERR_TRANSIENT);
    EXPECT(strstr(err.text, "in doubt"));
}

struct visits {
    char keys[256];
    const char *refuse;
    struct store *faulty;
};

static bool visit(void *context, const struct store_entry *entry, struct err *err)
{
    struct visits *visits = context;
    size_t used;

    if (visits->refuse && strcmp(visits->refuse, entry->key) == 0)
        return err_set(err, ERR_TRANSIENT, "the visitor has had enough");
    used = strlen(visits->keys);
    (void)snprintf(visits->keys + used, sizeof(visits->keys) - used, "%s ", entry->key);
    return true;
}

static void put_keys(struct stack *stack, const char *const *keys)
{
    struct err err = {0};

    for (; *keys; keys++)
        EXPECT_OK(store_put(stack->mem, *keys, "x", 1, &err), &err);
}

static const char *const five_keys[] = {"k/1", "k/2", "k/3", "k/4", "k/5", NULL};

TEST(a_listing_that_broke_at_its_end_visits_no_key_twice)
{
    struct visits visits = {0};
    STACK(10000);
    put_keys(&stack, five_keys);
    fail(&stack, "list", 1, FAULT_AFTER, ERR_TRANSIENT); /* all were visited, then it broke */
    EXPECT_OK(store_list(stack.retry, "k/", NULL, 0, visit, &visits, &err), &err);
    EXPECT_STR(visits.keys, "k/1 k/2 k/3 k/4 k/5 ");
    EXPECT_INT(store_fault_count(stack.faulty, "list", NULL), 2);
}

TEST(a_listing_keeps_its_limit_over_attempts)
{
    struct visits visits = {0};
    STACK(10000);
    put_keys(&stack, five_keys);
    fail(&stack, "list", 1, FAULT_AFTER, ERR_TRANSIENT);
    EXPECT_OK(store_list(stack.retry, "k/", "k/1", 2, visit, &visits, &err), &err);
    EXPECT_STR(visits.keys, "k/2 k/3 ");
}

TEST(an_error_of_the_visitor_is_not_the_stores)
{
    struct visits visits = {.refuse = "k/3"};
    STACK(10000);
    put_keys(&stack, five_keys);
    EXPECT(!store_list(stack.retry, "k/", NULL, 0, visit, &visits, &err));
    EXPECT_STR(err.text, "the visitor has had enough");
    EXPECT_INT(store_fault_count(stack.faulty, "list", NULL), 1);
}

TAP_MAIN()
