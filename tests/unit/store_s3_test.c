/* The real driver against a server that is strict and fails as told: objects, conditions, faults, threads. */
#include "snapshot/store/config.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/double/fault_scene.h"

TEST(objects_travel_there_and_back)
{
    uint64_t size = 0;
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a/b", "content", 7, &err), &err);
    EXPECT_OK(store_get(scene.store, "a/b", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "content");
    EXPECT_OK(store_stat(scene.store, "a/b", &size, &err), &err);
    EXPECT_INT(size, 7);
    EXPECT_OK(store_delete(scene.store, "a/b", &err), &err);
    EXPECT_ERR(store_get(scene.store, "a/b", &contents, &err), &err, ERR_NOT_FOUND, "a/b");
    EXPECT_OK(store_delete(scene.store, "a/b", &err), &err);
    EXPECT_INT(logged(&scene, "\"connection\": "), 6);
}

TEST(connections_are_kept_for_the_next_request)
{
    SCENE();
    for (int number = 0; number < 10; number++)
        EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_INT(logged(&scene, "\"connection\": 1,"), 10);
}

TEST(below_a_base_path_the_whole_path_is_signed)
{
    SCENE_WITH("--base-path=/deep/base");
    scene_open(&scene);
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
}

TEST(the_bucket_may_be_part_of_the_host)
{
    char endpoint[64];
    SCENE_WITH(NULL);
    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost:%d", scene.server.port);
    scene.config.endpoint = endpoint;
    scene.config.path_style = false;
    scene_open(&scene);
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
    EXPECT_OK(store_list(scene.store, "b", NULL, 0, NULL, NULL, &err), &err);
    EXPECT_INT(logged(&scene, "\"key\": \"p/"), 3);
}

TEST(a_prefix_may_have_any_characters)
{
    static const char *const prefixes[] = {"", "a b", "e\xc3\xa9/+(1)*'~!&=@:,;$", "<&>\"'", "x/y/z"};
    SCENE_WITH(NULL);

    for (size_t at = 0; at < sizeof(prefixes) / sizeof(prefixes[0]); at++) {
        size_t size = 0;
        free(scene.config.prefix);
        scene.config.prefix = xstrdup(prefixes[at]);
        REQUIRE_OK(store_open(&scene.config, NULL, NULL, &scene.store, &err), &err);
        EXPECT_OK(store_put(scene.store, "log/1", "x", 1, &err), &err);
        EXPECT_OK(store_get(scene.store, "log/1", &contents, &err), &err);
        EXPECT_OK(store_stat(scene.store, "log/1", &size, &err), &err);
        store_free(scene.store);
        scene.store = NULL;
    }
}

TEST(an_object_fits_or_is_refused_whole)
{
    CLEANUP(buf_clearp) struct buf small = BUF_INIT(8);
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a", "123456789", 9, &err), &err);
    buf_add_text(&small, "ab");
    EXPECT_ERR(store_get(scene.store, "a", &small, &err), &err, ERR_CORRUPT, "larger");
    EXPECT_STR(buf_text(&small), "ab");
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"chunked\"}");
    EXPECT_ERR(store_get(scene.store, "a", &small, &err), &err, ERR_CORRUPT, "larger");
    EXPECT_STR(buf_text(&small), "ab");
    EXPECT(!small.overflowed);
}

/* create */

TEST(create_meets_an_existing_object)
{
    SCENE();
    REQUIRE_OK(store_create(scene.store, "log/1", "first", 5, &err), &err);
    EXPECT_ERR(store_create(scene.store, "log/1", "second", 6, &err), &err, ERR_CONFLICT, "log/1");
    EXPECT_OK(store_get(scene.store, "log/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "first");
}

TEST(a_412_after_our_own_success_is_a_success)
{
    SCENE();
    fault(&scene,
          "{\"operation\": \"create\", \"kind\": \"status\", \"status\": 412, \"code\": "
          "\"PreconditionFailed\", \"after\": true}");
    EXPECT_OK(store_create(scene.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_INT(logged(&scene, "\"operation\": \"create\""), 1);
}

TEST(a_connection_reset_after_our_own_success_is_a_success)
{
    SCENE();
    fault(&scene, "{\"operation\": \"create\", \"kind\": \"reset_after\"}");
    EXPECT_OK(store_create(scene.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_OK(store_get(scene.retry, "log/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "ours");
}

TEST(a_dead_connection_is_no_reason_to_lose_against_ourselves)
{
    SCENE();
    fault(&scene, "{\"operation\": \"put\", \"kind\": \"die_idle\"}");
    REQUIRE_OK(store_put(scene.store, "warm", "up", 2, &err), &err);
    EXPECT_OK(store_create(scene.retry, "log/1", "ours", 4, &err), &err);
    EXPECT_OK(store_get(scene.retry, "log/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "ours");
}

TEST(the_answer_to_the_condition_says_whether_it_is_kept)
{
    SCENE();
    settle(&scene, "{\"ignore_conditions\": true}");
    REQUIRE_OK(store_create(scene.store, "a", "1", 1, &err), &err);
    EXPECT_OK(store_create(scene.store, "a", "2", 1, &err), &err); /* the engine's probe finds this out */
    settle(&scene, "{\"ignore_conditions\": false, \"refuse_conditions\": true}");
    EXPECT_ERR(store_create(scene.retry, "b", "1", 1, &err), &err, ERR_CONFIG,
               "does not support If-None-Match");
}

TEST(a_second_write_within_a_second_is_tried_again)
{
    SCENE();
    settle(&scene, "{\"one_write_per_second\": true}");
    REQUIRE_OK(store_put(scene.retry, "probe", "1", 1, &err), &err);
    EXPECT_ERR(store_put(scene.store, "probe", "2", 1, &err), &err, ERR_TRANSIENT, "429");
    EXPECT_OK(store_put(scene.retry, "probe", "3", 1, &err), &err);
}

/* faults of the server and the network */

TEST(server_errors_pass_with_another_try)
{
    static const char *const faults[] = {
        "\"kind\": \"status\", \"status\": 500, \"code\": \"InternalError\"",
        "\"kind\": \"status\", \"status\": 500",
        "\"kind\": \"status\", \"status\": 502, \"body\": \"<html>Bad Gateway</html>\"",
        "\"kind\": \"status\", \"status\": 503, \"code\": \"SlowDown\"",
        "\"kind\": \"status\", \"status\": 504",
        "\"kind\": \"status\", \"status\": 408",
        "\"kind\": \"status\", \"status\": 429",
        "\"kind\": \"status\", \"status\": 409, \"code\": \"ConditionalRequestConflict\"",
        "\"kind\": \"status\", \"status\": 400, \"code\": \"RequestTimeout\"",
        "\"kind\": \"reset_before\"",
        "\"kind\": \"reset_during\"",
        "\"kind\": \"reset_after\"",
        "\"kind\": \"not_http\"",
    };
    char json[256];
    SCENE();

    for (size_t at = 0; at < sizeof(faults) / sizeof(faults[0]); at++) {
        buf_reset(&contents);
        (void)snprintf(json, sizeof(json), "{\"times\": 0, %s}",
                       faults[at]); /* libcurl itself may try twice */
        fault(&scene, json);
        if (!EXPECT(!store_put(scene.store, "a", "content", 7, &err) && err.code == ERR_TRANSIENT))
            printf("#   put with %s: %s\n", faults[at], err.text);
        tell(&scene, "DELETE faults", NULL);
        (void)snprintf(json, sizeof(json), "{\"times\": 1, %s}", faults[at]);
        fault(&scene, json);
        EXPECT_OK(store_put(scene.retry, "a", "content", 7, &err), &err);
        fault(&scene, json);
        EXPECT_OK(store_get(scene.retry, "a", &contents, &err), &err);
        EXPECT_STR(buf_text(&contents), "content");
        tell(&scene, "DELETE faults", NULL);
    }
}

TEST(retry_after_is_heeded)
{
    uint64_t begun_ms;
    SCENE();
    fault(&scene,
          "{\"kind\": \"status\", \"status\": 503, \"code\": \"SlowDown\", \"headers\": {\"Retry-After\": "
          "\"1\"}}");
    begun_ms = clock_monotonic_ms();
    EXPECT_OK(store_put(scene.retry, "a", "x", 1, &err), &err);
    EXPECT(clock_monotonic_ms() - begun_ms >= 1000);
    EXPECT_INT(store_pause_ms(scene.store), 0);
}

TEST(a_get_that_is_cut_off_is_no_success)
{
    static const char *const kinds[] = {"truncate", "reset_during", "reset_before", "reset_after"};
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a", "0123456789", 10, &err), &err);
    for (size_t at = 0; at < sizeof(kinds) / sizeof(kinds[0]); at++) {
        char json[64];
        (void)snprintf(json, sizeof(json), "{\"operation\": \"get\", \"kind\": \"%s\"}", kinds[at]);
        fault(&scene, json);
        EXPECT_ERR(store_get(scene.store, "a", &contents, &err), &err, ERR_TRANSIENT, "connection broke");
        EXPECT_INT(contents.size, 0);
    }
}

TEST(a_get_whose_end_nothing_marks_is_corrupt)
{
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a", "0123456789", 10, &err), &err);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"no_length\"}");
    EXPECT_ERR(store_get(scene.store, "a", &contents, &err), &err, ERR_CORRUPT, "how long");
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"partial\"}");
    EXPECT_ERR(store_get(scene.store, "a", &contents, &err), &err, ERR_CORRUPT, "206");
    EXPECT_INT(contents.size, 0);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"chunked\"}");
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "0123456789");
}

TEST(what_only_a_hash_can_find_is_passed_on)
{
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a", "0123456789", 10, &err), &err);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"flip\"}");
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
    EXPECT_INT(contents.size, 10);
    EXPECT(strcmp(buf_text(&contents), "0123456789") != 0);
    buf_reset(&contents);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"truncate_lying\"}");
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
    EXPECT_INT(contents.size, 5);
}

TEST(a_drip_is_cut_after_the_stall_timeout)
{
    uint64_t begun_ms;
    SCENE();
    REQUIRE_OK(store_put(scene.store, "a", "0123456789012345678901234567890123456789", 40, &err), &err);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"drip\", \"interval_ms\": 500}");
    begun_ms = clock_monotonic_ms();
    EXPECT_ERR(store_get(scene.store, "a", &contents, &err), &err, ERR_TRANSIENT, "too long");
    EXPECT(clock_monotonic_ms() - begun_ms < 10000);
}

static void *cancel_when_it_is_held(void *context)
{
    struct scene *scene = context;

    tell(scene, "POST wait", "{\"operation\": \"get\", \"state\": \"begun\"}");
    atomic_store(&scene->canceled, true);
    return NULL;
}

TEST(a_request_on_its_way_can_be_canceled)
{
    pthread_t thread;
    uint64_t begun_ms = clock_monotonic_ms();
    SCENE_WITH(NULL);
    scene.config.stall_timeout_s = 60;
    scene_open(&scene);
    fault(&scene, "{\"operation\": \"get\", \"kind\": \"hold\"}");
    REQUIRE_OK(thread_start(&thread, "cancel", cancel_when_it_is_held, &scene, &err), &err);
    EXPECT_ERR(store_get(scene.retry, "a", &contents, &err), &err, ERR_CANCELED, "");
    EXPECT(clock_monotonic_ms() - begun_ms < 10000);
    pthread_join(thread, NULL);
    tell(&scene, "POST release", NULL);
}

/* threads */

static bool put_and_get(void *context, struct err *err)
{
    struct store *store = context;
    char key[64], bytes[96];

    for (int number = 0; number < 25; number++) {
        CLEANUP(buf_clearp) struct buf contents = BUF_INIT(96);
        (void)snprintf(key, sizeof(key), "t/%lx/%d", (unsigned long)pthread_self(), number);
        (void)snprintf(bytes, sizeof(bytes), "bytes of %s", key);
        if (!store_create(store, key, bytes, strlen(bytes), err) && err->code != ERR_CONFLICT)
            return false;
        if (!store_get(store, key, &contents, err))
            return false;
        if (strcmp(buf_text(&contents), bytes) != 0)
            return err_set(err, ERR_CORRUPT, "%s is \"%s\"", key, buf_text(&contents));
    }
    return true;
}

TEST(eight_threads_share_a_store)
{
    struct pool *pool = NULL;
    struct task_group group;
    SCENE();

    REQUIRE_OK(pool_open(8, "worker", &pool, &err), &err);
    group_init(&group, pool, 8);
    for (int task = 0; task < 8; task++)
        group_submit(&group, put_and_get, scene.store);
    EXPECT_OK(group_wait(&group, &err), &err);
    pool_free(pool);
}

TAP_MAIN()
