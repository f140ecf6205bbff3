#include "snapshot/store/s3_address.h"

#include "tests/tap.h"

/* What an address says, on one line. */
static const char *address_of(const char *url, const char *endpoint, const char *region, bool path_style)
{
    static char text[1024];
    struct store_config config = {.endpoint = endpoint, .region = region, .path_style = path_style};
    struct s3_address address = {0};
    struct err err = {0};

    if (!store_config_parse_url(&config, url, &err) || !s3_address_init(&address, &config, &err))
        (void)snprintf(text, sizeof(text), "%s", err_code_name(err.code));
    else
        (void)snprintf(text, sizeof(text), "%s %s %s %s", address.origin, address.host, address.path,
                       address.region);
    s3_address_clear(&address);
    store_config_clear(&config);
    return text;
}

TEST(aws_is_where_nothing_else_is_said)
{
    EXPECT_STR(address_of("s3://bucket/p", NULL, NULL, false),
               "https://bucket.s3.us-east-1.amazonaws.com bucket.s3.us-east-1.amazonaws.com  us-east-1");
    EXPECT_STR(address_of("s3://bucket/p", NULL, "eu-west-1", true),
               "https://s3.eu-west-1.amazonaws.com s3.eu-west-1.amazonaws.com /bucket eu-west-1");
    EXPECT_STR(address_of("s3://bucket/p", NULL, "cn-north-1", true),
               "https://s3.cn-north-1.amazonaws.com.cn s3.cn-north-1.amazonaws.com.cn /bucket cn-north-1");
}

TEST(r2_is_named_by_its_account)
{
    EXPECT_STR(address_of("r2://acc/bucket/p", NULL, NULL, true),
               "https://acc.r2.cloudflarestorage.com acc.r2.cloudflarestorage.com /bucket auto");
    EXPECT_STR(address_of("r2://acc/bucket", "https://acc.eu.r2.cloudflarestorage.com/", NULL, true),
               "https://acc.eu.r2.cloudflarestorage.com acc.eu.r2.cloudflarestorage.com /bucket auto");
}

TEST(an_endpoint_may_have_a_port_a_base_path_and_a_slash_at_its_end)
{
    EXPECT_STR(address_of("s3://bucket", "http://127.0.0.1:9000", NULL, true),
               "http://127.0.0.1:9000 127.0.0.1:9000 /bucket auto");
    EXPECT_STR(address_of("s3://bucket", "http://localhost:1234/cdn-cgi/local/r2/s3/", "auto", false),
               "http://localhost:1234 localhost:1234 /cdn-cgi/local/r2/s3/bucket auto");
    EXPECT_STR(address_of("s3://bucket", "https://[::1]:9000//", NULL, true),
               "https://[::1]:9000 [::1]:9000 /bucket auto");
    EXPECT_STR(address_of("s3://bucket", "HTTPS://Minio.Example", NULL, true),
               "https://Minio.Example Minio.Example /bucket auto");
}

TEST(the_port_of_the_scheme_is_left_out_of_the_host)
{
    EXPECT_STR(address_of("s3://b", "https://host:443", NULL, true), "https://host host /b auto");
    EXPECT_STR(address_of("s3://b", "http://host:80/x", NULL, true), "http://host host /x/b auto");
    EXPECT_STR(address_of("s3://b", "http://host:443", NULL, true), "http://host:443 host:443 /b auto");
    EXPECT_STR(address_of("s3://b", "https://host:1443", NULL, true), "https://host:1443 host:1443 /b auto");
}

TEST(a_bucket_becomes_part_of_the_host_only_where_that_can_work)
{
    EXPECT_STR(address_of("s3://bucket", "https://s3.example", NULL, false),
               "https://bucket.s3.example bucket.s3.example  auto");
    EXPECT_STR(address_of("s3://my.bucket", "https://s3.example", NULL, false),
               "https://s3.example s3.example /my.bucket auto");
    EXPECT_STR(address_of("s3://my.bucket", "http://s3.example", NULL, false),
               "http://my.bucket.s3.example my.bucket.s3.example  auto");
    EXPECT_STR(address_of("s3://my_bucket", "https://s3.example", NULL, false),
               "https://s3.example s3.example /my_bucket auto");
    EXPECT_STR(address_of("s3://bucket", "http://10.0.0.1:9000", NULL, false),
               "http://10.0.0.1:9000 10.0.0.1:9000 /bucket auto");
    EXPECT_STR(address_of("s3://bucket", "http://[::1]", NULL, false), "http://[::1] [::1] /bucket auto");
    EXPECT_STR(address_of("s3://bucket", "https://s3.example/base", NULL, false),
               "https://s3.example s3.example /base/bucket auto");
}

TEST(a_short_bucket_and_a_long_host_are_fine)
{
    char endpoint[300] = "https://", wanted[700];
    size_t size = strlen(endpoint);

    EXPECT_STR(address_of("s3://b", "http://h", NULL, true), "http://h h /b auto");
    memset(endpoint + size, 'h', 250);
    endpoint[size + 250] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "%s %s /b auto", endpoint, endpoint + size);
    EXPECT_STR(address_of("s3://b", endpoint, NULL, true), wanted);
}

TEST(what_can_not_be_an_endpoint_is_a_configuration_error)
{
    static const char *const endpoints[] = {
        "",
        "host",
        "host:9000",
        "ftp://host",
        "https://",
        "https:///path",
        "https://:9000",
        "https://host:",
        "https://host:port",
        "https://host:123456",
        "https://host:0",
        "https://host:65536",
        "https://user:password@host",
        "https://host?x=y",
        "https://host/#x",
        "https://ho st",
        "https://host/a b",
        "https://host\r\nX-Evil: 1",
        "https://host/a//b",
        "https://host/../b",
        "https://host/%2e%2e",
        "https://[::1",
        "https://[::1]x",
        "https://host\\x",
        "https://hö",
    };

    for (size_t at = 0; at < sizeof(endpoints) / sizeof(endpoints[0]); at++) {
        const char *address = address_of("s3://b", endpoints[at], NULL, true);
        if (!EXPECT(strcmp(address, "config") == 0))
            printf("#   \"%s\" became %s\n", endpoints[at], address);
    }
}

TEST(credentials_in_an_endpoint_are_refused_and_not_repeated)
{
    struct store_config config = {.endpoint = "https://user:password@host"};
    struct s3_address address = {0};
    struct err err = {0};

    REQUIRE(store_config_parse_url(&config, "s3://b", &err));
    EXPECT(!s3_address_init(&address, &config, &err));
    EXPECT(strstr(err.text, "HOLDFAST_S3_ENDPOINT has an @") && !strstr(err.text, "password"));
    s3_address_clear(&address);
    store_config_clear(&config);
}

TEST(a_region_is_a_plain_word)
{
    EXPECT_STR(address_of("s3://b", "https://host", "eu/../x", true), "config");
    EXPECT_STR(address_of("s3://b", "https://host", "eu west", true), "config");
    EXPECT_STR(address_of("s3://b", "https://host", "", true), "https://host host /b auto");
}

TAP_MAIN()
