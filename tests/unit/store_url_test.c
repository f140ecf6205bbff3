#include "snapshot/store/config.h"

#include "tests/tap.h"

#define CONFIG(name) __attribute__((cleanup(store_config_clear))) struct store_config name = {0}

TEST(a_bucket_with_its_prefix)
{
    struct err err = {0};
    CONFIG(config);

    REQUIRE_OK(store_config_parse_url(&config, "s3://my-bucket.eu/some/where", &err), &err);
    EXPECT_INT(config.kind, STORE_S3);
    EXPECT_STR(config.bucket, "my-bucket.eu");
    EXPECT_STR(config.prefix, "some/where");
    EXPECT(!config.account && !config.directory);
}

TEST(slashes_at_the_end_mean_nothing)
{
    static const char *const urls[] = {"s3://b/p", "s3://b/p/", "s3://b/p///"};

    for (size_t at = 0; at < sizeof(urls) / sizeof(urls[0]); at++) {
        struct err err = {0};
        CONFIG(config);
        REQUIRE_OK(store_config_parse_url(&config, urls[at], &err), &err);
        EXPECT_STR(config.bucket, "b");
        EXPECT_STR(config.prefix, "p");
    }
}

TEST(the_prefix_may_be_missing)
{
    static const char *const urls[] = {"s3://bucket", "s3://bucket/", "r2://acc/bucket", "r2://acc/bucket/"};

    for (size_t at = 0; at < sizeof(urls) / sizeof(urls[0]); at++) {
        struct err err = {0};
        CONFIG(config);
        REQUIRE_OK(store_config_parse_url(&config, urls[at], &err), &err);
        EXPECT_STR(config.bucket, "bucket");
        EXPECT_STR(config.prefix, "");
    }
}

TEST(an_account_comes_before_the_bucket_of_r2)
{
    struct err err = {0};
    CONFIG(config);

    REQUIRE_OK(store_config_parse_url(&config, "r2://0123abcd/bucket/a/b", &err), &err);
    EXPECT_INT(config.kind, STORE_S3);
    EXPECT_STR(config.account, "0123abcd");
    EXPECT_STR(config.bucket, "bucket");
    EXPECT_STR(config.prefix, "a/b");
}

TEST(odd_characters_may_stand_in_a_prefix)
{
    struct err err = {0};
    CONFIG(config);

    REQUIRE_OK(store_config_parse_url(&config, "s3://bucket/a b/é+(1)*'~!&=@:,;$", &err), &err);
    EXPECT_STR(config.prefix, "a b/é+(1)*'~!&=@:,;$");
}

TEST(a_directory_is_an_absolute_path)
{
    struct err err = {0};
    CONFIG(config);

    REQUIRE_OK(store_config_parse_url(&config, "file:///var/lib/my store/", &err), &err);
    EXPECT_INT(config.kind, STORE_DIRECTORY);
    EXPECT_STR(config.directory, "/var/lib/my store");
    EXPECT_STR(config.prefix, "");
}

TEST(what_is_not_a_store_is_refused_with_the_right_form_beside_it)
{
    static const char *const urls[] = {
        "",
        "bucket",
        "/dir",
        "s3:bucket",
        "http://host/bucket",
        "S3://bucket",
        "s3://",
        "s3:///prefix",
        "s3://bu cket/p",
        "s3://bucket:9000/p",
        "s3://user@bucket/p",
        "s3://.bucket/p",
        "s3://bucket/a//b",
        "s3://bucket//a",
        "s3://bucket/./a",
        "s3://bucket/a/..",
        "s3://bucket/../a",
        "s3://bucket/a?region=eu",
        "s3://bucket/a#b",
        "s3://bucket/a%20b",
        "s3://bucket/a\\b",
        "s3://bucket/a\nb",
        "r2://account",
        "r2:///bucket/p",
        "r2://acc.ount@x/bucket",
        "file://relative/dir",
        "file://",
        "file:///",
        "file:////",
        "file:///a/../b",
        "file:///a/..",
    };

    for (size_t at = 0; at < sizeof(urls) / sizeof(urls[0]); at++) {
        struct err err = {0};
        CONFIG(config);
        bool parsed = store_config_parse_url(&config, urls[at], &err);
        if (!EXPECT(!parsed))
            printf("#   accepted: %s\n", urls[at]);
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(strstr(err.text, "HOLDFAST_STORE") && strstr(err.text, "s3://BUCKET/PREFIX"));
        EXPECT(!config.bucket && !config.prefix && !config.directory && !config.account);
    }
}

TEST(a_prefix_leaves_room_for_our_keys)
{
    char url[700] = "s3://bucket/";
    struct err err = {0};
    CONFIG(config);

    memset(url + strlen(url), 'p', 481);
    EXPECT(!store_config_parse_url(&config, url, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    url[strlen("s3://bucket/") + 480] = '\0';
    EXPECT_OK(store_config_parse_url(&config, url, &err), &err);
}

TEST(credentials_in_a_url_are_refused_and_not_repeated)
{
    static const char *const urls[] = {"s3://key:hush@bucket/prefix", "s3://hush@bucket",
                                       "r2://hush@account/bucket", "hush@bucket",
                                       "https://key:hush@host/bucket"};

    for (size_t at = 0; at < sizeof(urls) / sizeof(urls[0]); at++) {
        struct store_config config = {0};
        struct err err = {0};
        EXPECT(!store_config_parse_url(&config, urls[at], &err));
        EXPECT_INT(err.code, ERR_CONFIG);
        EXPECT(!strstr(err.text, "hush") && strstr(err.text, "HOLDFAST_S3_SECRET_ACCESS_KEY"));
    }
}

TAP_MAIN()
