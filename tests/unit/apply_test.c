/* Commits at random, over all page sizes, and those around the page of SQLite's locks. */
#include "tests/unit/apply_stand.h"

enum { PAGES_MAX = 3000 };

static uint32_t next_size(const struct stand *stand, uint32_t pages_max)
{
    uint32_t pages = (uint32_t)stand->target.pages;

    if (pages == 0 || any(12) == 0)
        return any(pages_max) + 1;
    if (any(3) == 0)
        return pages > 3 ? pages - any(3) : pages;
    return any(2) == 0 && pages + 5 < pages_max ? pages + any(5) : pages;
}

/* kept: pages of room for the newest images; -1: each is written at once. */
static void check_history(uint32_t page_size, int kept)
{
    uint32_t pages_max = (4 << 20) / page_size < PAGES_MAX ? (4 << 20) / page_size : PAGES_MAX;
    CLEANUP(stand_closep) struct stand stand;

    stand_open(&stand, page_size);
    stand.keeps = kept >= 0;
    if (stand.keeps)
        apply_keep(stand.apply, (size_t)kept * page_size);
    for (int step = 0; step < 60; step++) {
        CLEANUP(commit_clearp)
        struct commit commit = commit_make(&stand, next_size(&stand, pages_max), 1 + any(40));
        apply_commit(&stand, &commit, any(2) == 0 ? 7 : delta_pages_max(page_size));
    }
}

TEST(any_history_of_commits_gives_the_file_of_the_model)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2)
        check_history(page_size, -1);
}

TEST(images_that_are_kept_make_no_difference)
{
    static const int rooms[] = {1, 30, 100000};

    for (size_t at = 0; at < sizeof(rooms) / sizeof(rooms[0]); at++)
        check_history(1024, rooms[at]);
}

TEST(pages_that_change_again_and_again_are_read_and_written_once)
{
    CLEANUP(stand_closep) struct stand stand;
    struct err err = {0};

    stand_open(&stand, 4096);
    grow_to(&stand, 10);
    stand.keeps = true;
    apply_keep(stand.apply, 10 * 4096);
    reads = writes = 0;
    for (int step = 0; step < 20; step++) {
        CLEANUP(commit_clearp) struct commit commit = commit_make(&stand, 10, UINT32_MAX); /* page 1 alone */
        CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
        struct data_run run = run_of(&stand, &commit, 0, 1, &frame);
        REQUIRE_OK(apply_run(stand.apply, &stand.target, &run, run.frame, run.frame_size, &err), &err);
        free(stand.model);
        stand.model = MOVE(commit.after);
    }
    EXPECT_OK(apply_flush(stand.apply, &stand.target, &err), &err);
    EXPECT_INT(reads, 1);
    EXPECT_INT(writes, 1);
    expect_file(&stand, stand.model);
}

TEST(pages_side_by_side_are_read_and_written_together)
{
    CLEANUP(stand_closep) struct stand stand;
    CLEANUP(commit_clearp) struct commit commit = {0};

    stand_open(&stand, 4096);
    grow_to(&stand, 64);
    commit = commit_make(&stand, 64, 1);
    reads = writes = 0;
    legal_bytes = 64 * 4096;
    {
        CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
        struct data_run run = run_of(&stand, &commit, 0, 64, &frame);
        struct err err = {0};
        REQUIRE_OK(apply_run(stand.apply, &stand.target, &run, run.frame, run.frame_size, &err), &err);
    }
    EXPECT_INT(reads, 4);
    EXPECT_INT(writes, 4);
}

/* A file that is all holes around the page of the locks, with whatever hash. */
static void stand_at_locks(struct stand *stand, uint32_t page_size, uint64_t pages)
{
    stand_open(stand, page_size);
    stand->target.pages = pages;
    stand->target.rolling_hash = 12345;
    if (ftruncate(stand->target.fd, (off_t)(pages * page_size)) != 0)
        abort();
}

/* A commit of the given pages, of new content each, which replaces zeros. */
static bool apply_pages(struct stand *stand, const uint32_t *pages, uint32_t count, uint32_t pages_after,
                        struct err *err)
{
    uint32_t page_size = stand->target.page_size, previous = 0;
    CLEANUP(freep) uint8_t *images = xmalloc((size_t)count * page_size), *zeros = xcalloc(count, page_size);
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    struct data_run run = {.path = "db", .page_size = page_size, .pages_after = pages_after};
    uint64_t hash = stand->target.rolling_hash;

    for (uint32_t at = 0; at < count; at++) {
        change_page(images + (size_t)at * page_size, page_size, true);
        hash ^= pagehash_of(images + (size_t)at * page_size, page_size, page_size, pages[at]);
        if (pages[at] <= stand->target.pages)
            hash ^= pagehash_of(zeros + (size_t)previous++ * page_size, page_size, page_size, pages[at]);
    }
    for (uint64_t page = (uint64_t)pages_after + 1; page <= stand->target.pages; page++)
        hash ^= pagehash_of(zeros, page_size, page_size, page);
    if (!delta_encode(stand->codec, images, (size_t)count * page_size,
                      (struct codec_prefix){zeros, (size_t)previous * page_size}, &frame, err))
        abort();
    run.is_last = true;
    run.rolling_hash = hash;
    run.count = count;
    run.pages = pages;
    run.frame = frame.bytes;
    run.frame_size = frame.size;
    return apply_run(stand->apply, &stand->target, &run, run.frame, run.frame_size, err);
}

static void check_around_locks(uint32_t page_size)
{
    CLEANUP(stand_closep) struct stand stand;
    uint32_t lock = pagehash_lock_page(page_size);
    struct err err = {0};

    stand_at_locks(&stand, page_size, lock - 2);
    legal_bytes = (uint64_t)(lock + 2) * page_size;
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){1, lock - 1, lock + 1}, 3, lock + 1, &err), &err);
    EXPECT_INT(file_bytes(&stand), (uint64_t)(lock + 1) * page_size);
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){2, lock + 2}, 2, lock + 2, &err), &err);

    stand_closep(&stand);
    stand_at_locks(&stand, page_size, lock + 2);
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){3}, 1, lock - 1, &err), &err);
    EXPECT_INT(file_bytes(&stand), (uint64_t)(lock - 1) * page_size);
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){4}, 1, lock, &err), &err); /* a last page of locks */
    EXPECT_INT(file_bytes(&stand), (uint64_t)lock * page_size);
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){5, lock + 1}, 2, lock + 1, &err), &err);
    EXPECT_INT(file_bytes(&stand), (uint64_t)(lock + 1) * page_size);
}

TEST(a_database_grows_and_shrinks_over_the_page_of_the_locks)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2)
        check_around_locks(page_size);
}

TEST(what_is_forgotten_never_reaches_the_file)
{
    CLEANUP(stand_closep) struct stand stand;
    struct err err = {0};

    stand_open(&stand, 4096);
    stand.keeps = true;
    apply_keep(stand.apply, 10 * 4096);
    legal_bytes = 4096;
    EXPECT_OK(apply_pages(&stand, (uint32_t[]){1}, 1, 1, &err), &err);
    apply_forget(stand.apply, &stand.target);
    EXPECT_OK(apply_flush(stand.apply, &stand.target, &err), &err);
    EXPECT_INT(file_bytes(&stand), 0);
}

/* The second commit says what is not so; the third, which leads on from there, is right by itself. */
TEST(a_commit_whose_hash_is_wrong_is_found_before_anything_depends_on_it)
{
    for (int repaired = 0; repaired < 2; repaired++) {
        CLEANUP(stand_closep) struct stand stand;
        CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
        struct err err = {0};
        stand_open(&stand, 4096);
        stand.keeps = true;
        apply_keep(stand.apply, 10 * 4096);
        for (int step = 0; step < 2 + repaired; step++) {
            CLEANUP(commit_clearp) struct commit commit = commit_make(&stand, 5, 2);
            struct data_run run = run_of(&stand, &commit, 0, commit.count, &frame);
            run.rolling_hash ^= step == 1;
            EXPECT_OK(apply_run(stand.apply, &stand.target, &run, run.frame, run.frame_size, &err), &err);
            free(stand.model);
            stand.model = MOVE(commit.after);
            if (step == 0)
                EXPECT_OK(apply_prove(stand.apply, &stand.target, &err), &err);
        }
        EXPECT_INT(apply_prove(stand.apply, &stand.target, &err), repaired);
        EXPECT_INT(err.code, repaired ? ERR_NONE : ERR_CORRUPT);
    }
}

TEST(nothing_is_freed_twice_or_kept)
{
    apply_free(NULL);
    apply_free(apply_new());
}

TAP_MAIN()
