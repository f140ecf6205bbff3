/* What the operator, the clock, the credentials or the certificates got wrong, as the real driver tells it.
 */
#include "snapshot/store/config.h"

#include "base/clock.h"
#include "tests/double/fault_scene.h"

#include <fcntl.h>

/* what the operator got wrong */

TEST(wrong_credentials_name_the_variable_and_no_secret)
{
    SCENE_WITH(NULL);
    scene.config.access_key_id.value = "WRONGKEYID";
    scene_open(&scene);
    EXPECT_ERR(store_put(scene.retry, "a", "x", 1, &err), &err, ERR_DENIED, "HOLDFAST_S3_ACCESS_KEY_ID");
    EXPECT(!strstr(err.text, "WRONGKEYID"));
    scene_shut(&scene);
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

TAP_MAIN()
