/* The real driver against a server that is strict and fails as told. */
#include "snapshot/store/config.h"

#include "base/clock.h"
#include "base/thread.h"
#include "tests/double/fault_server.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

struct scene {
    struct fault_server server;
    struct store_config config;
    struct store *store, *retry;
    atomic_bool canceled;
};

static void scene_close(struct scene *scene)
{
    store_free(scene->retry);
    store_free(scene->store);
    store_config_clear(&scene->config);
    fault_server_stop(&scene->server);
}

static void scene_start(struct scene *scene, const char *option)
{
    *scene = (struct scene){0};
    fault_server_start(&scene->server, option);
    fault_server_configure(&scene->server, &scene->config);
}

static void scene_open(struct scene *scene)
{
    struct err err = {0};

    EXPECT_OK(store_open(&scene->config, &scene->canceled, NULL, &scene->store, &err), &err);
    scene->retry = store_retry(scene->store, 20000, &scene->canceled);
}

#define SCENE_WITH(option)                                       \
    __attribute__((cleanup(scene_close))) struct scene scene;    \
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(1 << 20); \
    struct err err = {0};                                        \
    scene_start(&scene, option)

#define SCENE()       \
    SCENE_WITH(NULL); \
    scene_open(&scene)

static void tell(struct scene *scene, const char *command, const char *json)
{
    EXPECT_INT(fault_server_tell(&scene->server, command, json, NULL), 200);
}

static void fault(struct scene *scene, const char *json)
{
    tell(scene, "POST faults", json);
}

static void settle(struct scene *scene, const char *json)
{
    tell(scene, "POST settings", json);
}

/* How often text is in the server's log. */
static size_t logged(struct scene *scene, const char *text)
{
    CLEANUP(buf_clearp) struct buf log = BUF_INIT(16 << 20);
    size_t count = 0;

    (void)fault_server_tell(&scene->server, "GET log", NULL, &log);
    for (const char *at = strstr(buf_text(&log), text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

/* The test's expectation of a call that fails. */
#define EXPECT_ERR(call, failure, wanted, words)                                                 \
    do {                                                                                         \
        *(failure) = (struct err){0};                                                            \
        if (!EXPECT(!(call) && (failure)->code == (wanted) && strstr((failure)->text, (words)))) \
            printf("#   it is %s: %s\n", err_code_name((failure)->code), (failure)->text);       \
    } while (0)

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

/* what the operator got wrong */

TEST(wrong_credentials_name_the_variable_and_no_secret)
{
    SCENE_WITH(NULL);
    scene.config.access_key_id.value = "WRONGKEYID";
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_DENIED, "HOLDFAST_S3_ACCESS_KEY_ID");
    EXPECT(!strstr(err.text, "WRONGKEYID"));
    store_free(scene.retry);
    store_free(scene.store);
    scene.config.access_key_id.value = "FAULTKEYID";
    scene.config.secret_access_key.value = "wrong-secret";
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_DENIED, "HOLDFAST_S3_SECRET_ACCESS_KEY");
    EXPECT(!strstr(err.text, "wrong-secret"));
}

TEST(a_missing_bucket_is_never_an_empty_one)
{
    uint64_t size;
    SCENE();
    settle(&scene, "{\"bucket_missing\": true}");
    EXPECT_ERR(store_get(scene.retry, "a", &contents, &err), &err, ERR_CONFIG, "fault-bucket");
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG, "HOLDFAST_STORE");
    EXPECT_ERR(store_list(scene.retry, "", NULL, 0, NULL, NULL, &err), &err, ERR_CONFIG, "fault-bucket");
    EXPECT_ERR(store_delete(scene.retry, "a", &err), &err, ERR_CONFIG, "fault-bucket");
    EXPECT_ERR(store_stat(scene.retry, "a", &size, &err), &err, ERR_NOT_FOUND, "a"); /* HEAD has no words */
}

TEST(missing_permissions_are_named)
{
    SCENE();
    settle(&scene, "{\"read_only\": true}");
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_DENIED, "no permission to write");
    settle(&scene, "{\"no_list_permission\": true}");
    EXPECT_ERR(store_list(scene.retry, "", NULL, 0, NULL, NULL, &err), &err, ERR_DENIED,
               "no permission to list");
    EXPECT_INT(logged(&scene, "\"status\": 403"), 2);
}

TEST(a_wrong_region_is_corrected_in_words)
{
    SCENE_WITH(NULL);
    scene.config.region = "elsewhere-1";
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG,
               "HOLDFAST_S3_REGION=fault-region-1");
}

TEST(an_endpoint_that_nobody_serves_is_transient_and_named)
{
    SCENE_WITH(NULL);
    scene.config.endpoint = "http://127.0.0.1:1";
    REQUIRE_OK(store_open(&scene.config, NULL, NULL, &scene.store, &err), &err);
    EXPECT_ERR(store_put(scene.store, "a", "x", 1, &err), &err, ERR_TRANSIENT, "HOLDFAST_S3_ENDPOINT");
}

/* time */

TEST(a_clock_that_is_wrong_at_the_start_is_the_operators)
{
    SCENE();
    settle(&scene, "{\"clock_offset_s\": 3600}");
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG, "behind the store's");
    EXPECT_INT(store_clock_skew_ns(scene.store) / (int64_t)NS_PER_SECOND / 60, 59);
    EXPECT_INT(logged(&scene, "\"operation\": \"put\""), 1);
}

TEST(a_clock_that_jumps_later_is_corrected)
{
    uint64_t now_s;
    SCENE();
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    settle(&scene, "{\"clock_offset_s\": -7200}");
    EXPECT_OK(store_put(scene.store, "a", "y", 1, &err), &err);
    EXPECT_INT(logged(&scene, "\"operation\": \"put\""), 3); /* the second was refused, and signed again */
    EXPECT_OK(store_put(scene.store, "a", "z", 1, &err), &err);
    EXPECT_INT(logged(&scene, "\"operation\": \"put\""), 4);
    now_s = clock_unix_ns() / NS_PER_SECOND;
    EXPECT(store_unix_ns(scene.store) / NS_PER_SECOND + 7200 - now_s + 5 <= 10);
}

TEST(without_a_date_the_local_clock_has_to_do)
{
    SCENE();
    settle(&scene, "{\"no_date\": true, \"clock_offset_s\": 600}");
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_INT(store_clock_skew_ns(scene.store), 0);
}

/* credentials in files */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

TEST(a_renewed_session_token_is_read_when_the_old_one_has_expired)
{
    char path[] = "/tmp/holdfast-token-XXXXXX";
    char token[3000], settings[3100];
    SCENE_WITH(NULL);

    (void)close(mkstemp(path));
    write_file(path, "first\n");
    scene.config.session_token.file = path;
    settle(&scene, "{\"session_token\": \"first\"}");
    scene_open(&scene);
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);

    memset(token, 't', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    (void)snprintf(settings, sizeof(settings), "{\"session_token\": \"%s\"}", token);
    settle(&scene, settings);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_DENIED, "HOLDFAST_S3_SESSION_TOKEN");
    write_file(path, token);
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
    (void)unlink(path);
}

TEST(what_is_wrong_with_credentials_is_said_before_any_request)
{
    static const struct {
        struct store_secret id, secret;
        const char *words;
    } cases[] = {
        {{0}, {0}, "instance metadata and web identity are not supported"},
        {{.value = "id"}, {0}, "HOLDFAST_S3_SECRET_ACCESS_KEY is empty or not set"},
        {{0}, {.value = "secret"}, "HOLDFAST_S3_ACCESS_KEY_ID is empty or not set"},
        {{.value = "id"}, {.value = " \n"}, "HOLDFAST_S3_SECRET_ACCESS_KEY is empty"},
        {{.value = "id\r\nx: y"}, {.value = "secret"}, "HOLDFAST_S3_ACCESS_KEY_ID has white space"},
        {{.value = "id"}, {.file = "/no/such/file"}, "HOLDFAST_S3_SECRET_ACCESS_KEY_FILE"},
        {{.value = "id"}, {.value = "secret", .file = "/etc/hostname"}, "both set"},
    };
    SCENE_WITH(NULL);

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        scene.config.access_key_id = cases[at].id;
        scene.config.secret_access_key = cases[at].secret;
        EXPECT_ERR(store_open(&scene.config, NULL, NULL, &scene.store, &err), &err, ERR_CONFIG,
                   cases[at].words);
    }
}

/* TLS */

TEST(a_certificate_of_a_trusted_authority_is_accepted)
{
    SCENE_WITH("--tls");
    scene_open(&scene);
    EXPECT_OK(store_put(scene.store, "a", "x", 1, &err), &err);
    EXPECT_OK(store_get(scene.store, "a", &contents, &err), &err);
}

TEST(any_other_certificate_is_refused)
{
    SCENE_WITH("--tls");
    scene.config.ca_file = NULL;
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG, "HOLDFAST_S3_CA_FILE");
}

TEST(a_certificate_for_another_name_is_refused)
{
    char endpoint[64];
    SCENE_WITH("--tls");
    (void)snprintf(endpoint, sizeof(endpoint), "https://localhost:%d", scene.server.port);
    scene.config.endpoint = endpoint;
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG, "certificate");
}

TEST(authorities_that_can_not_be_read_are_named)
{
    SCENE_WITH("--tls");
    scene.config.ca_file = "/no/such/file";
    EXPECT_ERR(store_open(&scene.config, NULL, NULL, &scene.store, &err), &err, ERR_CONFIG,
               "HOLDFAST_S3_CA_FILE");
    scene.config.ca_file = "Makefile";
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_CONFIG, "HOLDFAST_S3_CA_FILE");
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
