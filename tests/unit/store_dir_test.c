#include "snapshot/store/config.h"

#include "base/fs.h"
#include "tests/double/dir_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static bool exists(const struct place *place, const char *name)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", place->directory, name);

    return access(path, F_OK) == 0;
}

TEST(what_was_put_is_got_back)
{
    uint64_t size = 0;
    PLACE();
    REQUIRE_OK(store_put(place.store, "part/ff/1", "hello", 5, &err), &err);
    EXPECT_OK(store_get(place.store, "part/ff/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "hello");
    EXPECT_OK(store_stat(place.store, "part/ff/1", &size, &err), &err);
    EXPECT_INT(size, 5);
    EXPECT(exists(&place, "part/ff/1"));
}

TEST(put_replaces_and_empty_objects_are_objects)
{
    PLACE();
    REQUIRE_OK(store_put(place.store, "a", "long content", 12, &err), &err);
    REQUIRE_OK(store_put(place.store, "a", "", 0, &err), &err);
    EXPECT_OK(store_get(place.store, "a", &contents, &err), &err);
    EXPECT_INT(contents.size, 0);
}

TEST(create_loses_against_an_existing_object_and_leaves_it_alone)
{
    PLACE();
    REQUIRE_OK(store_create(place.store, "log/1", "first", 5, &err), &err);
    EXPECT(!store_create(place.store, "log/1", "second", 6, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
    EXPECT_OK(store_get(place.store, "log/1", &contents, &err), &err);
    EXPECT_STR(buf_text(&contents), "first");
}

TEST(what_is_absent_is_not_found_and_deleting_it_succeeds)
{
    uint64_t size;
    PLACE();
    EXPECT(!store_get(place.store, "no/such", &contents, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT(!store_stat(place.store, "no/such", &size, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
    EXPECT_OK(store_delete(place.store, "no/such", &err), &err);
    REQUIRE_OK(store_put(place.store, "a/b", "x", 1, &err), &err);
    EXPECT_OK(store_delete(place.store, "a/b", &err), &err);
    EXPECT(!store_get(place.store, "a/b", &contents, &err));
    EXPECT_INT(err.code, ERR_NOT_FOUND);
}

static bool collect(void *context, const struct store_entry *entry, struct err *err)
{
    (void)err;
    buf_printf(context, "%s:%d ", entry->key, (int)entry->size);
    return true;
}

static const char *listed(const struct place *place, const char *prefix, const char *after, size_t limit,
                          struct buf *text)
{
    struct err err = {0};

    buf_reset(text);
    EXPECT_OK(store_list(place->store, prefix, after, limit, collect, text, &err), &err);
    return buf_text(text);
}

TEST(keys_are_listed_in_byte_order_across_folders)
{
    /* '-' and '.' sort before '/', '0' after it. */
    static const char *const keys[] = {"log0", "log/b", "log.x/1", "log/a/2", "log-x", "log/a.1", "Z", "a"};
    PLACE();

    for (size_t at = 0; at < sizeof(keys) / sizeof(keys[0]); at++)
        REQUIRE_OK(store_put(place.store, keys[at], "xy", 2, &err), &err);
    EXPECT_STR(listed(&place, "", NULL, 0, &contents),
               "Z:2 a:2 log-x:2 log.x/1:2 log/a.1:2 log/a/2:2 log/b:2 log0:2 ");
    EXPECT_STR(listed(&place, "log/", NULL, 0, &contents), "log/a.1:2 log/a/2:2 log/b:2 ");
    EXPECT_STR(listed(&place, "log/a", NULL, 0, &contents), "log/a.1:2 log/a/2:2 ");
    EXPECT_STR(listed(&place, "log/", "log/a.1", 1, &contents), "log/a/2:2 ");
    EXPECT_STR(listed(&place, "", "log/a/2", 0, &contents), "log/b:2 log0:2 ");
    EXPECT_STR(listed(&place, "", "log/a/", 2, &contents), "log/a/2:2 log/b:2 ");
    EXPECT_STR(listed(&place, "nothing", NULL, 0, &contents), "");
    EXPECT_STR(listed(&place, "", "zz", 0, &contents), "");
}

TEST(a_limit_counts_keys_only)
{
    PLACE();
    for (char key[] = "k/0"; key[2] <= '9'; key[2]++)
        REQUIRE_OK(store_put(place.store, key, "", 0, &err), &err);
    EXPECT_STR(listed(&place, "k/", NULL, 3, &contents), "k/0:0 k/1:0 k/2:0 ");
    EXPECT_STR(listed(&place, "k/", "k/7", 3, &contents), "k/8:0 k/9:0 ");
}

TEST(an_empty_store_lists_nothing)
{
    PLACE();
    EXPECT_OK(store_list(place.store, "", NULL, 0, collect, &contents, &err), &err);
    EXPECT_INT(contents.size, 0);
    EXPECT(exists(&place, ".tmp"));
}

TEST(names_that_are_not_ours_are_passed_over)
{
    CLEANUP(close_fdp) int fd = -1;
    PLACE();
    REQUIRE_OK(store_put(place.store, "a", "x", 1, &err), &err);
    REQUIRE_OK(fs_open_directory(AT_FDCWD, place.directory, &fd, &err), &err);
    close_fdp(&fd);
    fd = open(place.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(mkdirat(fd, "lost+found", 0700) == 0);
    EXPECT(mkdirat(fd, ".hidden", 0700) == 0);
    EXPECT(symlinkat("a", fd, "link") == 0);
    EXPECT(mkfifoat(fd, "pipe", 0600) == 0);
    EXPECT_STR(listed(&place, "", NULL, 0, &contents), "a:1 ");
}

TEST(symlinks_are_never_followed)
{
    CLEANUP(close_fdp) int fd = -1;
    uint64_t size;
    PLACE();
    fd = open(place.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(symlinkat("/etc", fd, "etc") == 0);
    EXPECT(symlinkat("/etc/hostname", fd, "name") == 0);
    EXPECT(!store_get(place.store, "etc/hostname", &contents, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!store_get(place.store, "name", &contents, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT(!store_stat(place.store, "name", &size, &err));
    EXPECT(!store_put(place.store, "etc/holdfast-test", "x", 1, &err));
    EXPECT(access("/etc/holdfast-test", F_OK) != 0);
    EXPECT(!store_create(place.store, "name", "x", 1, &err));
    EXPECT_INT(err.code, ERR_CONFLICT);
}

TEST(a_fifo_in_the_way_does_not_block)
{
    CLEANUP(close_fdp) int fd = -1;
    PLACE();
    fd = open(place.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(mkfifoat(fd, "pipe", 0600) == 0);
    EXPECT(!store_get(place.store, "pipe", &contents, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
}

TEST(an_object_above_the_ceiling_is_refused_and_nothing_is_added)
{
    CLEANUP(buf_clearp) struct buf small = BUF_INIT(8);
    PLACE();
    REQUIRE_OK(store_put(place.store, "a", "123456789", 9, &err), &err);
    buf_add_text(&small, "ab");
    EXPECT(!store_get(place.store, "a", &small, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    EXPECT_STR(buf_text(&small), "ab");
    EXPECT(!small.overflowed);
}

TEST(a_part_of_a_key_longer_than_a_file_name_is_refused_in_words)
{
    char key[300];
    PLACE();
    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    EXPECT(!store_put(place.store, key, "x", 1, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    key[255] = '\0';
    EXPECT_OK(store_put(place.store, key, "x", 1, &err), &err);
}

static void age(const struct place *place, const char *name, time_t seconds)
{
    CLEANUP(freep) char *path = xasprintf("%s/%s", place->directory, name);
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    EXPECT(fd >= 0 && futimens(fd, times) == 0);
    close_fdp(&fd);
}

TEST(temporaries_go_and_those_of_dead_processes_are_swept)
{
    char young[128];
    PLACE();
    REQUIRE_OK(store_create(place.store, "a", "x", 1, &err), &err);
    EXPECT(!store_create(place.store, "a", "x", 1, &err));
    REQUIRE_OK(store_put(place.store, "a", "y", 1, &err), &err);
    age(&place, ".tmp/old", 25 * 60 * 60);
    age(&place, ".tmp/young", 60 * 60);
    store_free(place.store);
    place.store = open_directory_store(place.directory, NULL);
    EXPECT(!exists(&place, ".tmp/old"));
    EXPECT(exists(&place, ".tmp/young"));
    (void)snprintf(young, sizeof(young), "%s/.tmp/young", place.directory);
    EXPECT(unlink(young) == 0);
    *strrchr(young, '/') = '\0';
    EXPECT(rmdir(young) == 0); /* nothing else was left behind */
}

TEST(a_store_that_is_a_file_is_refused)
{
    char path[] = "/tmp/holdfast-file-XXXXXX";
    struct store_config config = {.kind = STORE_DIRECTORY, .directory = path};
    CLEANUP(store_freep) struct store *store = NULL;
    struct err err = {0};

    (void)close(mkstemp(path));
    EXPECT(!store_open(&config, NULL, NULL, &store, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "HOLDFAST_STORE"));
    (void)unlink(path);
}

TEST(canceled_calls_end_at_once)
{
    atomic_bool canceled = false;
    PLACE();
    store_free(place.store);
    place.store = open_directory_store(place.directory, &canceled);
    atomic_store(&canceled, true);
    EXPECT(!store_put(place.store, "a", "x", 1, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
    EXPECT(!store_get(place.store, "a", &contents, &err));
    EXPECT_INT(err.code, ERR_CANCELED);
}

TEST(whoever_only_reads_makes_nothing)
{
    CLEANUP(scratch_closep) struct scratch place;
    struct store_config config = {.kind = STORE_DIRECTORY, .reads_only = true};
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(buf_clearp) struct buf contents = BUF_INIT(64);
    char path[128];
    struct err err = {0};

    scratch_open(&place);
    (void)snprintf(path, sizeof(path), "%s/store", place.path);
    config.directory = path;
    EXPECT(!store_open(&config, NULL, NULL, &store, &err));
    EXPECT_INT(err.code, ERR_CONFIG);
    EXPECT(strstr(err.text, "HOLDFAST_STORE") && strstr(err.text, "is not there"));
    EXPECT(!scratch_exists(place.fd, "store"));
    scratch_write(place.fd, "store/a", "text");
    REQUIRE_OK(store_open(&config, NULL, NULL, &store, &err), &err);
    EXPECT_OK(store_get(store, "a", &contents, &err), &err);
    EXPECT(!store_put(store, "b", "x", 1, &err));
    EXPECT_OK(store_delete(store, "a", &err), &err);
    EXPECT(!scratch_exists(place.fd, "store/a") && !scratch_exists(place.fd, "store/.tmp"));
}

TAP_MAIN()
