/* The files of a base while an application goes on with them (protocol.md: H10, H22): a test changes them
 * between the scan and the reading, and in the middle of each read(2). What a base holds is proved by
 * restoring it. */
#include "snapshot/base.h"

#include "snapshot/restore.h"
#include "tests/double/pread_hook.h"
#include "tests/double/scanning.h"
#include "tests/double/store_fault.h"
#include "tests/double/store_mem.h"

#include <fcntl.h>

enum { LARGE = 70000 };

struct bench {
    struct store *mem;
    struct store *faulty;
    struct pool *pool;
    struct log log;
    struct id owner;
    _Atomic uint64_t next_n;
    struct scratch disk;
    struct base_result result; /* of the newest cut */
    struct manifest previous;
};

/* For the hooks. */
static int disk_fd;

static void set_up(struct bench *bench)
{
    struct id lineage = id_random();
    struct log_change open = {.kind = RECORD_OPEN};
    struct err err = {0};

    *bench = (struct bench){.mem = store_mem_new(), .owner = id_random(), .next_n = 1};
    bench->faulty = store_fault_new(bench->mem);
    scratch_open(&bench->disk);
    disk_fd = bench->disk.fd;
    /* One worker: files are read one after the other, in the order of their paths. */
    if (!pool_open(1, "test", &bench->pool, &err))
        abort();
    log_init(&bench->log, bench->faulty, bench->faulty, &lineage);
    log_freeze(&bench->log, &bench->owner, &open);
    EXPECT_OK(log_send(&bench->log, &err), &err);
}

static void tear_down(struct bench *bench)
{
    manifest_clear(&bench->previous);
    manifest_clear(&bench->result.manifest);
    log_clear(&bench->log);
    pool_free(bench->pool);
    scratch_close(&bench->disk);
    store_free(bench->faulty);
    store_free(bench->mem);
}

static struct tree *look(struct bench *bench)
{
    CLEANUP(scan_result_clearp) struct scan_result found = {0};
    struct err err = {0};

    EXPECT_OK(scan(bench->disk.fd, "", "", &found, &err), &err);
    return MOVE(found.tree);
}

/* Cuts what was seen; what was cut before is the base before. */
static bool cut_seen(struct bench *bench, struct tree *tree)
{
    struct base_request request = {.store = bench->faulty,
                                   .pool = bench->pool,
                                   .directory_fd = bench->disk.fd,
                                   .log = &bench->log,
                                   .owner = &bench->owner,
                                   .next_n = &bench->next_n,
                                   .tree = tree};
    struct base_result result;
    struct err err = {0};

    manifest_clear(&bench->previous);
    bench->previous = bench->result.manifest;
    bench->result = (struct base_result){0};
    request.previous = bench->previous.tree ? &bench->previous : NULL;
    if (!base_cut(&request, &result, &err)) {
        printf("# %s\n", err.text);
        tree_free(request.tree);
        return false;
    }
    bench->result = result;
    return true;
}

static bool cut(struct bench *bench)
{
    return cut_seen(bench, look(bench));
}

/* The content of a file as the newest cut has it; NULL if it has none. The caller frees it. */
static char *content_of(struct bench *bench, const char *path)
{
    CLEANUP(scratch_closep) struct scratch copy;
    struct restore *restore = NULL;
    struct place *place = NULL;
    struct err err = {0};
    size_t aside = 0;

    scratch_open(&copy);
    EXPECT_OK(place_begin(copy.fd, NULL, "", &place, &err) &&
                  restore_open(bench->mem, &bench->result.manifest, NULL, NULL, NULL, &restore, &err) &&
                  restore_release(restore, place, &err) && restore_wait(restore, &err) &&
                  place_finish(place, bench->result.manifest.tree, NULL, 0, &aside, &err),
              &err);
    restore_free(restore);
    place_free(place);
    return scratch_read(copy.fd, path);
}

static char *large_text(char letter)
{
    char *text = xmalloc(LARGE + 1);

    memset(text, letter, LARGE);
    text[LARGE] = '\0';
    return text;
}

static bool is_content(struct bench *bench, const char *path, const char *wanted)
{
    CLEANUP(freep) char *found = content_of(bench, path);

    if (found && wanted && strcmp(found, wanted) == 0)
        return true;
    if (!found && !wanted)
        return true;
    printf("# %s is %.20s, not %.20s\n", path, found ? found : "absent", wanted ? wanted : "absent");
    return false;
}

static const char *rewritten_path;
static const char *rewritten_text;

/* In place, as a careless application would. */
static void rewrite(void)
{
    scratch_write(disk_fd, rewritten_path, rewritten_text);
}

TEST(a_file_that_keeps_changing_keeps_its_former_content)
{
    CLEANUP(freep) char *large_one = large_text('1');
    CLEANUP(freep) char *large_two = large_text('2');
    CLEANUP(freep) char *large_three = large_text('3');
    const char *texts[][3] = {{"one", "two", "three"},
                              {large_one, large_two, large_three},
                              {"one", large_two, large_three},
                              {large_one, "two", "three"}};

    for (size_t at = 0; at < 4; at++) {
        struct bench bench;
        set_up(&bench);
        scratch_write(bench.disk.fd, "file", texts[at][0]);
        scratch_write(bench.disk.fd, "other", "same");
        REQUIRE(cut(&bench));
        EXPECT(!bench.result.moved);
        scratch_write(bench.disk.fd, "file", texts[at][1]);
        rewritten_path = "file";
        rewritten_text = texts[at][1];
        pread_hook_set(rewrite);
        REQUIRE(cut(&bench));
        pread_hook_set(NULL);
        EXPECT(bench.result.moved);
        EXPECT(is_content(&bench, "file", texts[at][0]));
        EXPECT(is_content(&bench, "other", "same"));
        /* It stands still now. */
        scratch_write(bench.disk.fd, "file", texts[at][2]);
        REQUIRE(cut(&bench));
        EXPECT(!bench.result.moved);
        EXPECT(is_content(&bench, "file", texts[at][2]));
        tear_down(&bench);
    }
}

TEST(a_new_file_that_keeps_changing_waits_for_the_next_base)
{
    struct bench bench;

    set_up(&bench);
    scratch_write(bench.disk.fd, "file", "one");
    rewritten_path = "file";
    rewritten_text = "two";
    pread_hook_set(rewrite);
    REQUIRE(cut(&bench));
    pread_hook_set(NULL);
    EXPECT(bench.result.moved);
    EXPECT(is_content(&bench, "file", NULL));
    REQUIRE(cut(&bench));
    EXPECT(is_content(&bench, "file", "two"));
    tear_down(&bench);
}

TEST(a_file_that_was_replaced_since_it_was_seen_goes_in_as_it_is)
{
    CLEANUP(freep) char *large_one = large_text('1');
    CLEANUP(freep) char *large_two = large_text('2');
    const char *texts[][2] = {
        {"one", "other"}, {large_one, large_two}, {"one", large_two}, {large_one, "two"},
        {"", "two"},      {"", large_two},        {"one", ""},        {large_one, ""}};

    for (size_t at = 0; at < 8; at++) {
        struct bench bench;
        struct tree *seen;
        set_up(&bench);
        scratch_write(bench.disk.fd, "file", "zero");
        scratch_write(bench.disk.fd, "z", "last");
        REQUIRE(cut(&bench));
        scratch_write(bench.disk.fd, "file", texts[at][0]);
        seen = look(&bench);
        scratch_write(bench.disk.fd, "new", texts[at][1]);
        EXPECT_INT(renameat(bench.disk.fd, "new", bench.disk.fd, "file"), 0);
        REQUIRE(cut_seen(&bench, seen));
        EXPECT(!bench.result.moved);
        EXPECT(is_content(&bench, "file", texts[at][1]));
        EXPECT(is_content(&bench, "z", "last"));
        tear_down(&bench);
    }
}

static void unlink_new(void)
{
    (void)unlinkat(disk_fd, "new small", 0);
    (void)unlinkat(disk_fd, "new large", 0);
    (void)unlinkat(disk_fd, "old", 0);
}

TEST(a_new_file_that_vanishes_before_it_is_read_is_there_all_the_same)
{
    CLEANUP(freep) char *large = large_text('l');
    struct bench bench;

    set_up(&bench);
    scratch_write(bench.disk.fd, "a", large);
    scratch_write(bench.disk.fd, "old", "old");
    REQUIRE(cut(&bench));
    scratch_write(bench.disk.fd, "a", "");
    scratch_write(bench.disk.fd, "a", large);
    scratch_write(bench.disk.fd, "new small", "small");
    scratch_write(bench.disk.fd, "new large", large);
    pread_hook_set(unlink_new); /* while "a" is read */
    REQUIRE(cut(&bench));
    pread_hook_set(NULL);
    EXPECT(is_content(&bench, "new small", "small"));
    EXPECT(is_content(&bench, "new large", large));
    EXPECT(is_content(&bench, "old", "old")); /* from the base before */
    tear_down(&bench);
}

/* A file of the base before that is gone and has to stay (what deletions_hold() does). */
static void hold(struct bench *bench, struct tree *tree, const char *path)
{
    const struct tree_entry *old = tree_find(bench->result.manifest.tree, path);
    struct tree_entry *entry = tree_add(tree, path, strlen(path), NULL, 0);

    entry->kind = ENTRY_FILE;
    entry->size = old->size;
    if (!tree_sort(tree))
        abort();
}

TEST(many_files_that_are_held_back_cost_one_request)
{
    struct bench bench;
    struct tree *seen;
    size_t before;

    set_up(&bench);
    for (int at = 0; at < 100; at++) {
        CLEANUP(freep) char *path = xasprintf("gone %02d", at);
        scratch_write(bench.disk.fd, path, path);
    }
    REQUIRE(cut(&bench));
    for (int at = 0; at < 100; at++) {
        CLEANUP(freep) char *path = xasprintf("gone %02d", at);
        EXPECT_INT(unlinkat(bench.disk.fd, path, 0), 0);
    }
    seen = look(&bench);
    for (int at = 0; at < 100; at++) {
        CLEANUP(freep) char *path = xasprintf("gone %02d", at);
        hold(&bench, seen, path);
    }
    before = store_fault_count(bench.faulty, "get", "part/");
    REQUIRE(cut_seen(&bench, seen));
    EXPECT_INT(store_fault_count(bench.faulty, "get", "part/") - before, 1);
    EXPECT(is_content(&bench, "gone 00", "gone 00"));
    EXPECT(is_content(&bench, "gone 99", "gone 99"));
    EXPECT_INT(tree_count(bench.result.manifest.tree), 100);
    tear_down(&bench);
}

TEST(what_can_not_be_read_back_is_left_out_by_name_and_a_store_that_is_away_is_an_error)
{
    static const struct {
        enum fault_kind kind;
        enum err_code code;
        bool cut;
    } faults[] = {{FAULT_FLIP, ERR_NONE, true},
                  {FAULT_TRUNCATE, ERR_NONE, true},
                  {FAULT_BEFORE, ERR_NOT_FOUND, true},
                  {FAULT_BEFORE, ERR_TRANSIENT, false}};

    for (size_t at = 0; at < 4; at++) {
        struct bench bench;
        struct tree *seen;
        set_up(&bench);
        scratch_write(bench.disk.fd, "gone", "gone");
        scratch_write(bench.disk.fd, "here", "here");
        REQUIRE(cut(&bench));
        EXPECT_INT(unlinkat(bench.disk.fd, "gone", 0), 0);
        seen = look(&bench);
        hold(&bench, seen, "gone");
        store_fault_add(bench.faulty, &(struct store_fault){.operation = "get",
                                                            .key = "part/",
                                                            .kind = faults[at].kind,
                                                            .code = faults[at].code});
        EXPECT_INT(cut_seen(&bench, seen), faults[at].cut);
        if (faults[at].cut) {
            EXPECT_STR(bench.result.lost, "gone");
            EXPECT(strstr(bench.result.lost_why.text, "part/") != NULL);
            EXPECT(is_content(&bench, "gone", NULL));
            EXPECT(is_content(&bench, "here", "here"));
        }
        tear_down(&bench);
    }
}

TEST(a_large_file_that_did_not_change_is_not_read_again)
{
    CLEANUP(freep) char *large = large_text('x');
    struct bench bench;

    set_up(&bench);
    scratch_write(bench.disk.fd, "large", large);
    REQUIRE(cut(&bench));
    EXPECT_INT(bench.result.blobs_uploaded, 1);
    pread_count = 0;
    REQUIRE(cut(&bench));
    EXPECT_INT(pread_count, 0);
    EXPECT_INT(bench.result.blobs_uploaded, 0);
    EXPECT(is_content(&bench, "large", large));
    /* A changed time alone: read, and found to be stored already. */
    EXPECT_INT(utimensat(bench.disk.fd, "large", NULL, 0), 0);
    REQUIRE(cut(&bench));
    EXPECT(pread_count > 0);
    EXPECT_INT(bench.result.blobs_uploaded, 0);
    tear_down(&bench);
}

TEST(holes_need_no_object)
{
    struct bench bench;
    CLEANUP(close_fdp) int fd = -1;

    set_up(&bench);
    fd = openat(bench.disk.fd, "holes", O_WRONLY | O_CREAT, 0600);
    EXPECT_INT(ftruncate(fd, 40 << 20), 0);
    EXPECT_INT(pwrite(fd, "end", 3, (40 << 20) - 3), 3);
    REQUIRE(cut(&bench));
    EXPECT_INT(bench.result.blobs_uploaded, 1);
    EXPECT_INT(store_mem_count(bench.mem, "blob/"), 1);
    tear_down(&bench);
}

TAP_MAIN()
