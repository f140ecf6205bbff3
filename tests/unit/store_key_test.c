#include "snapshot/store/store.h"

#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"
#include "tests/tap.h"

TEST(keys_have_plain_characters_and_parts)
{
    static const char *const keys[] = {"a", "log/ffffffffffffff00", "part/ff-12ab-0", "holdfast.json",
                                       "a_b/c.d/E-9"};

    for (size_t at = 0; at < sizeof(keys) / sizeof(keys[0]); at++)
        EXPECT(store_key_is_valid(keys[at]));
}

TEST(hostile_keys_are_refused)
{
    static const char *const keys[] = {"",     "/",      "/a",   "a/",   "a//b",   ".",   "..",
                                       "../a", "a/../b", "a/..", "a/.b", ".tmp/x", "a b", "a\\b",
                                       "a\nb", "a%2fb",  "é",    "a?b",  "a+b",    "a:b"};

    for (size_t at = 0; at < sizeof(keys) / sizeof(keys[0]); at++)
        if (!EXPECT(!store_key_is_valid(keys[at])))
            printf("#   accepted: %s\n", keys[at]);
}

TEST(a_key_has_at_most_512_bytes)
{
    char key[STORE_KEY_MAX + 2];

    memset(key, 'k', sizeof(key));
    key[STORE_KEY_MAX + 1] = '\0';
    EXPECT(!store_key_is_valid(key));
    key[STORE_KEY_MAX] = '\0';
    EXPECT(store_key_is_valid(key));
}

static bool ignore_entry(void *context, const struct store_entry *entry, struct err *err)
{
    (void)context, (void)entry, (void)err;
    return true;
}

TEST(no_driver_ever_sees_a_hostile_key)
{
    struct store *mem = store_mem_new();
    struct store *watched = store_fault_new(mem);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(16);
    struct err err = {0};
    uint64_t size;

    EXPECT(!store_create(watched, "../a", "x", 1, &err));
    EXPECT(!store_put(watched, "../a", "x", 1, &err));
    EXPECT(!store_get(watched, "../a", &contents, &err));
    EXPECT(!store_stat(watched, "../a", &size, &err));
    EXPECT(!store_delete(watched, "../a", &err));
    EXPECT(!store_list(watched, "../", NULL, 0, ignore_entry, NULL, &err));
    EXPECT(!store_list(watched, "a", "/b", 0, ignore_entry, NULL, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_INT(store_fault_count(watched, NULL, NULL), 0);
    store_free(watched);
    store_free(mem);
}

static void write_down(void *context, const char *operation, enum err_code outcome, uint64_t sent_bytes,
                       uint64_t received_bytes)
{
    buf_printf(context, "%s %s %d %d\n", operation, err_code_name(outcome), (int)sent_bytes,
               (int)received_bytes);
}

TEST(the_observer_hears_of_every_call)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(4096);
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(16);
    const struct store_observer observer = {.request = write_down, .context = &text};
    struct store *mem = store_mem_new();
    struct err err = {0};
    uint64_t size;

    mem->observer = &observer;
    buf_add_text(&contents, "before ");
    EXPECT_OK(store_create(mem, "a", "12345", 5, &err), &err);
    EXPECT(!store_create(mem, "a", "12", 2, &err));
    EXPECT_OK(store_put(mem, "b", "123", 3, &err), &err);
    EXPECT_OK(store_get(mem, "a", &contents, &err), &err);
    EXPECT(!store_get(mem, "c", &contents, &err));
    EXPECT_OK(store_stat(mem, "a", &size, &err), &err);
    EXPECT_OK(store_list(mem, "", NULL, 0, ignore_entry, NULL, &err), &err);
    EXPECT_OK(store_delete(mem, "a", &err), &err);
    EXPECT_STR(buf_text(&text),
               "create none 5 0\n"
               "create conflict 2 0\n"
               "put none 3 0\n"
               "get none 0 5\n"
               "get not found 0 0\n"
               "stat none 0 0\n"
               "list none 0 0\n"
               "delete none 0 0\n");
    store_free(mem);
}

TAP_MAIN()
