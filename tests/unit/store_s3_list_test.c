/* Listings of the real driver, against a server that pages, cuts, repeats and disorders them. */
#include "snapshot/store/config.h"

#include "tests/double/fault_scene.h"

/* Past the driver: names that it would not write. */
static void put_raw(struct scene *scene, const char *encoded_key)
{
    CLEANUP(freep) char *command = xasprintf("PUT object?key=%s", encoded_key);

    tell(scene, command, "12345");
}

static void put_numbers(struct scene *scene, int count)
{
    char key[32];

    for (int number = 0; number < count; number++) {
        (void)snprintf(key, sizeof(key), "p/log/%04d", number);
        put_raw(scene, key);
    }
}

static bool collect(void *context, const struct store_entry *entry, struct err *err)
{
    (void)err;
    buf_printf(context, "%s:%d ", entry->key, (int)entry->size);
    return true;
}

static const char *listed(struct scene *scene, const char *prefix, const char *after, size_t limit,
                          struct buf *keys)
{
    struct err err = {0};

    buf_reset(keys);
    EXPECT_OK(store_list(scene->store, prefix, after, limit, collect, keys, &err), &err);
    return buf_text(keys);
}

static size_t requests(struct scene *scene)
{
    return logged(scene, "\"list\"");
}

TEST(keys_come_in_order_with_their_sizes)
{
    SCENE();
    put_raw(&scene, "p/log/b");
    put_raw(&scene, "p/log/a");
    put_raw(&scene, "p/log-x");
    put_raw(&scene, "p/base/1");
    put_raw(&scene, "other/log/z");
    EXPECT_STR(listed(&scene, "log/", NULL, 0, &contents), "log/a:5 log/b:5 ");
    EXPECT_STR(listed(&scene, "", NULL, 0, &contents), "base/1:5 log-x:5 log/a:5 log/b:5 ");
    EXPECT_STR(listed(&scene, "log/", "log/a", 0, &contents), "log/b:5 ");
    EXPECT_STR(listed(&scene, "log/", "log/b", 0, &contents), "");
    EXPECT_STR(listed(&scene, "none/", NULL, 0, &contents), "");
}

TEST(pages_are_joined_and_a_limit_asks_for_no_more_than_it_needs)
{
    SCENE();
    put_numbers(&scene, 10);
    tell(&scene, "POST settings", "{\"page_size\": 3}");
    EXPECT_STR(listed(&scene, "log/", "log/0001", 7, &contents),
               "log/0002:5 log/0003:5 log/0004:5 log/0005:5 log/0006:5 log/0007:5 log/0008:5 ");
    EXPECT_INT(requests(&scene), 3);
    EXPECT_STR(listed(&scene, "log/", NULL, 3, &contents), "log/0000:5 log/0001:5 log/0002:5 ");
    EXPECT_INT(requests(&scene), 4);
}

/* libs3 2.0 loses IsTruncated behind a multiple of 32 keys. */
TEST(no_number_of_keys_in_a_page_hides_the_next_page)
{
    SCENE();
    put_numbers(&scene, 130);
    for (int size = 31; size <= 65; size += size == 33 ? 30 : 1) {
        char json[64];
        size_t count = 0;
        (void)snprintf(json, sizeof(json), "{\"page_size\": %d}", size);
        tell(&scene, "POST settings", json);
        for (const char *at = listed(&scene, "log/", NULL, 0, &contents); *at; at++)
            count += *at == ' ';
        EXPECT_INT(count, 130);
    }
}

TEST(what_can_not_be_ours_is_passed_over)
{
    SCENE();
    put_raw(&scene, "p/log/1");
    put_raw(&scene, "p/log/read%20me%20%3C%26%3E.txt");
    put_raw(&scene, "p/log/.hidden");
    put_raw(&scene, "p/log/");
    put_raw(&scene, "p/log/%C3%A9");
    put_raw(&scene, "p/log/2");
    EXPECT_STR(listed(&scene, "log/", NULL, 0, &contents), "log/1:5 log/2:5 ");
    EXPECT_STR(listed(&scene, "log/", NULL, 1, &contents), "log/1:5 ");
    EXPECT_STR(listed(&scene, "log/", "log/1", 1, &contents), "log/2:5 ");
}

#define PAGE(truncated, contents)                                                                            \
    "{\"operation\": \"list\", \"kind\": \"replace\", \"body\": \"<ListBucketResult><IsTruncated>" truncated \
    "</IsTruncated>" contents "</ListBucketResult>\"}"
#define ENTRY(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"

/* Each of these pages is a lie; nothing of it may be visited. */
static const struct {
    const char *fault, *words;
} lies[] = {
    {PAGE("false", ENTRY("p/log/2") ENTRY("p/log/1")), "don't ascend"},
    {PAGE("false", ENTRY("p/log/1") ENTRY("p/log/1")), "don't ascend"},
    {PAGE("false", ENTRY("p/log/0")), "don't ascend"},
    {PAGE("false", ENTRY("p/other/1")), "another prefix"},
    {PAGE("false", ENTRY("q/log/1")), "another prefix"},
    {PAGE("true", ""), "empty while more follow"},
    {PAGE("maybe", ENTRY("p/log/1")), "whether it is complete"},
    {PAGE("false", "<Contents><Key>p/log/1</Wrong></Contents>"), "can't be read"},
    {"{\"operation\": \"list\", \"kind\": \"empty\"}", "not a listing"},
    {"{\"operation\": \"list\", \"kind\": \"replace\", \"body\": \"<html>welcome</html>\"}", ""},
    {"{\"operation\": \"list\", \"kind\": \"truncate_lying\"}", ""},
    {"{\"operation\": \"list\", \"kind\": \"no_length\"}", "how long"},
    {"{\"operation\": \"list\", \"kind\": \"partial\"}", "206"},
};

TEST(a_listing_is_believed_only_as_far_as_it_can_be_checked)
{
    SCENE();
    put_numbers(&scene, 40);
    for (size_t at = 0; at < sizeof(lies) / sizeof(lies[0]); at++) {
        tell(&scene, "POST faults", lies[at].fault);
        if (!EXPECT(!store_list(scene.store, "log/", "log/0", 0, collect, &contents, &err) &&
                    err.code == ERR_CORRUPT && strstr(err.text, lies[at].words)))
            printf("#   %s: %s: %s\n", lies[at].fault, err_code_name(err.code), err.text);
        EXPECT_INT(contents.size, 0);
        tell(&scene, "DELETE faults", NULL);
    }
}

TEST(a_page_that_is_cut_off_gives_no_key_at_all)
{
    static const char *const kinds[] = {"truncate", "reset_during", "reset_after"};
    SCENE();
    put_numbers(&scene, 40);
    for (size_t at = 0; at < sizeof(kinds) / sizeof(kinds[0]); at++) {
        char json[96];
        (void)snprintf(json, sizeof(json), "{\"operation\": \"list\", \"times\": 0, \"kind\": \"%s\"}",
                       kinds[at]);
        tell(&scene, "POST faults", json);
        EXPECT(!store_list(scene.store, "log/", NULL, 0, collect, &contents, &err));
        EXPECT_INT(err.code, ERR_TRANSIENT);
        EXPECT_INT(contents.size, 0);
        tell(&scene, "DELETE faults", NULL);
    }
}

TEST(a_store_that_lists_in_another_order_is_refused)
{
    SCENE();
    put_numbers(&scene, 3);
    tell(&scene, "POST settings", "{\"list_reverse\": true}");
    EXPECT(!store_list(scene.store, "log/", NULL, 0, collect, &contents, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(strstr(err.text, "don't ascend"));
}

TEST(a_chunked_page_is_a_page)
{
    SCENE();
    put_numbers(&scene, 40);
    tell(&scene, "POST faults", "{\"operation\": \"list\", \"kind\": \"chunked\"}");
    (void)listed(&scene, "log/", NULL, 0, &contents);
    EXPECT_INT(contents.size, 40 * strlen("log/0000:5 "));
}

static bool refuse(void *context, const struct store_entry *entry, struct err *err)
{
    (void)context;
    return err_set(err, ERR_SYSTEM, "enough at %s", entry->key);
}

TEST(the_visitor_ends_a_listing)
{
    SCENE();
    put_numbers(&scene, 5);
    tell(&scene, "POST settings", "{\"page_size\": 2}");
    EXPECT(!store_list(scene.store, "log/", NULL, 0, refuse, NULL, &err));
    EXPECT_STR(err.text, "enough at log/0000");
    EXPECT_INT(requests(&scene), 1);
    EXPECT_INT(contents.size, 0);
}

TAP_MAIN()
