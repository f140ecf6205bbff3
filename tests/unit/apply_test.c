/* Commits at random onto a database file, beside a plain model of it: an array of pages. */
#include "snapshot/apply.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"
#include "tests/tap.h"

#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE_MAX = 64 << 10, PAGES_MAX = 3000 };

/* Every access of the file is watched: never beyond what the format allows, never in large pieces. */
static uint64_t legal_bytes = UINT64_MAX;
static size_t reads, writes;

static void watch(size_t size, off_t offset)
{
    if (size > PIECE_MAX || offset < 0 || (uint64_t)offset + size > legal_bytes)
        abort();
}

/* By their symbols, for <bits/unistd.h> may declare the functions inline. */
ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("pread64");
ssize_t hooked_pwrite(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite64");

ssize_t hooked_pread(int fd, void *bytes, size_t size, off_t offset)
{
    reads++;
    watch(size, offset);
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t hooked_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    writes++;
    watch(size, offset);
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static uint64_t state = 88172645463325252u;

/* xorshift64 */
static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

struct stand {
    struct apply *apply;
    struct apply_target target;
    struct codec *codec;
    uint8_t *model; /* target.pages pages */
};

static void stand_open(struct stand *stand, uint32_t page_size)
{
    *stand = (struct stand){.apply = apply_new(), .codec = codec_new()};
    stand->target.fd = memfd_create("database", MFD_CLOEXEC);
    stand->target.page_size = page_size;
    stand->model = xmalloc(0);
    if (stand->target.fd < 0)
        abort();
}

static void stand_closep(struct stand *stand)
{
    (void)close(stand->target.fd);
    apply_free(stand->apply);
    codec_free(stand->codec);
    free(stand->model);
}

/* A commit: what it changes, page by page, and the model after it. */
struct commit {
    uint32_t *pages;
    uint32_t count;
    uint32_t pages_before, pages_after;
    uint8_t *before, *after; /* models; before is the stand's */
    uint64_t rolling_hash;
};

static void commit_clearp(struct commit *commit)
{
    free(commit->pages);
    free(commit->after);
}

/* Some bytes of the page change; a new one has bytes all over. */
static void change_page(uint8_t *page, uint32_t page_size, bool is_new)
{
    uint32_t at = is_new ? 0 : any(page_size), size = is_new ? page_size : any(page_size - at) + 1;

    for (uint32_t end = at + size; at < end; at++)
        page[at] = (uint8_t)any(256);
}

static bool is_lock_page(uint32_t page, uint32_t page_size)
{
    return page == pagehash_lock_page(page_size);
}

/* Changes each old page with a chance of one in `odds`, and the first one always, as SQLite does. */
static struct commit commit_make(const struct stand *stand, uint32_t pages_after, uint32_t odds)
{
    uint32_t page_size = stand->target.page_size, before = (uint32_t)stand->target.pages;
    size_t size = (size_t)pages_after * page_size;
    struct commit commit = {.pages_before = before, .pages_after = pages_after, .before = stand->model};

    commit.pages = xcalloc(pages_after, sizeof(*commit.pages));
    commit.after = xcalloc(1, size);
    memcpy(commit.after, stand->model, (size_t)(before < pages_after ? before : pages_after) * page_size);
    for (uint32_t page = 1; page <= pages_after; page++) {
        if (is_lock_page(page, page_size) || (page <= before && page > 1 && any(odds) > 0))
            continue;
        change_page(commit.after + (size_t)(page - 1) * page_size, page_size, page > before);
        commit.pages[commit.count++] = page;
    }
    commit.rolling_hash = pagehash_of(commit.after, size, page_size, 1);
    return commit;
}

/* The run of the commit's pages [first, first + count), and its frame. */
static struct data_run run_of(const struct stand *stand, const struct commit *commit, uint32_t first,
                              uint32_t count, struct buf *frame)
{
    uint32_t page_size = stand->target.page_size, previous_count = 0;
    CLEANUP(freep)
    uint8_t *images = xmalloc((size_t)count * page_size), *previous = xmalloc((size_t)count * page_size);
    struct err err = {0};

    for (uint32_t at = 0; at < count; at++) {
        size_t offset = (size_t)(commit->pages[first + at] - 1) * page_size;
        memcpy(images + (size_t)at * page_size, commit->after + offset, page_size);
        if (commit->pages[first + at] <= commit->pages_before)
            memcpy(previous + (size_t)previous_count++ * page_size, commit->before + offset, page_size);
    }
    buf_reset(frame);
    EXPECT_OK(delta_encode(stand->codec, images, (size_t)count * page_size,
                           (struct codec_prefix){previous, (size_t)previous_count * page_size}, frame, &err),
              &err);
    return (struct data_run){.path = "db",
                             .incarnation = 1,
                             .page_size = page_size,
                             .pages_after = commit->pages_after,
                             .is_last = first + count == commit->count,
                             .rolling_hash = commit->rolling_hash,
                             .count = count,
                             .pages = commit->pages + first,
                             .frame = frame->bytes,
                             .frame_size = frame->size};
}

static uint64_t file_bytes(const struct stand *stand)
{
    struct stat status;

    return fstat(stand->target.fd, &status) == 0 ? (uint64_t)status.st_size : UINT64_MAX;
}

static void expect_file(const struct stand *stand, const uint8_t *model)
{
    size_t size = stand->target.pages * stand->target.page_size;
    CLEANUP(freep) uint8_t *found = xmalloc(size);
    struct err err = {0};

    EXPECT_INT(file_bytes(stand), size);
    for (size_t at = 0, piece; at < size; at += piece) {
        piece = size - at < PIECE_MAX ? size - at : PIECE_MAX;
        REQUIRE_OK(fs_read_at(stand->target.fd, found + at, piece, at, &err), &err);
    }
    EXPECT(memcmp(found, model, size) == 0);
    EXPECT(stand->target.rolling_hash == pagehash_of(found, size, stand->target.page_size, 1));
}

/* The model takes over what the commit has made. */
static void settle(struct stand *stand, struct commit *commit)
{
    free(stand->model);
    stand->model = MOVE(commit->after);
    expect_file(stand, stand->model);
}

static void apply_commit(struct stand *stand, struct commit *commit, uint32_t run_max)
{
    CLEANUP(buf_clearp) struct buf frame = BUF_INIT(DELTA_FRAME_MAX);
    uint32_t larger = commit->pages_after > commit->pages_before ? commit->pages_after : commit->pages_before;
    struct err err = {0};

    legal_bytes = (uint64_t)larger * stand->target.page_size;
    for (uint32_t first = 0, count; first < commit->count; first += count) {
        struct data_run run;
        count = any(run_max) + 1;
        if (count > commit->count - first)
            count = commit->count - first;
        run = run_of(stand, commit, first, count, &frame);
        REQUIRE_OK(apply_run(stand->apply, &stand->target, &run, run.frame, run.frame_size, &err), &err);
        EXPECT(stand->target.in_commit != run.is_last);
    }
    EXPECT_INT(stand->target.pages, commit->pages_after);
    settle(stand, commit);
}

static void grow_to(struct stand *stand, uint32_t pages_after)
{
    CLEANUP(commit_clearp) struct commit commit = commit_make(stand, pages_after, 5);

    apply_commit(stand, &commit, delta_pages_max(stand->target.page_size));
}

static uint32_t next_size(const struct stand *stand, uint32_t pages_max)
{
    uint32_t pages = (uint32_t)stand->target.pages;

    if (pages == 0 || any(12) == 0)
        return any(pages_max) + 1;
    if (any(3) == 0)
        return pages > 3 ? pages - any(3) : pages;
    return any(2) == 0 && pages + 5 < pages_max ? pages + any(5) : pages;
}

static void check_history(uint32_t page_size)
{
    uint32_t pages_max = (4 << 20) / page_size < PAGES_MAX ? (4 << 20) / page_size : PAGES_MAX;
    CLEANUP(stand_closep) struct stand stand;

    stand_open(&stand, page_size);
    for (int step = 0; step < 60; step++) {
        CLEANUP(commit_clearp)
        struct commit commit = commit_make(&stand, next_size(&stand, pages_max), 1 + any(40));
        apply_commit(&stand, &commit, any(2) == 0 ? 7 : delta_pages_max(page_size));
    }
}

TEST(any_history_of_commits_gives_the_file_of_the_model)
{
    for (uint32_t page_size = 512; page_size <= 65536; page_size *= 2)
        check_history(page_size);
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

/* A stand of 20 pages and a commit to 24 pages, cut into a first run of 5 pages and the rest. */
struct damage {
    struct stand stand;
    struct commit commit;
    struct buf frames[2];
    struct data_run runs[2];
};

static void damage_clearp(struct damage *damage)
{
    stand_closep(&damage->stand);
    commit_clearp(&damage->commit);
    buf_clear(&damage->frames[0]);
    buf_clear(&damage->frames[1]);
}

static void damage_make(struct damage *damage, uint32_t pages_after)
{
    *damage = (struct damage){.frames = {BUF_INIT(DELTA_FRAME_MAX), BUF_INIT(DELTA_FRAME_MAX)}};
    stand_open(&damage->stand, 1024);
    grow_to(&damage->stand, 20);
    damage->commit = commit_make(&damage->stand, pages_after, 1);
    damage->runs[0] = run_of(&damage->stand, &damage->commit, 0, 5, &damage->frames[0]);
    damage->runs[1] =
        run_of(&damage->stand, &damage->commit, 5, damage->commit.count - 5, &damage->frames[1]);
    legal_bytes = (uint64_t)(pages_after > 20 ? pages_after : 20) * 1024;
}

static bool apply_one(struct damage *damage, int at, struct err *err)
{
    const struct data_run *run = &damage->runs[at];

    return apply_run(damage->stand.apply, &damage->stand.target, run, run->frame, run->frame_size, err);
}

static void expect_refused(struct damage *damage, int at, const char *text)
{
    struct err err = {0};

    EXPECT(!apply_one(damage, at, &err));
    EXPECT_INT(err.code, ERR_CORRUPT);
    if (!EXPECT(strstr(err.text, text)))
        printf("#   \"%s\" has no \"%s\"\n", err.text, text);
    EXPECT(file_bytes(&damage->stand) <= legal_bytes);
    EXPECT_INT(damage->stand.target.pages, 20);
}

static void expect_applied(struct damage *damage, int at)
{
    struct err err = {0};

    EXPECT_OK(apply_one(damage, at, &err), &err);
}

#define DAMAGE(name, pages_after)                    \
    CLEANUP(damage_clearp) struct damage name = {0}; \
    damage_make(&name, (pages_after))

TEST(what_is_not_damaged_is_applied)
{
    DAMAGE(damage, 24);
    expect_applied(&damage, 0);
    expect_applied(&damage, 1);
    settle(&damage.stand, &damage.commit);
}

TEST(a_run_of_another_page_size_is_refused)
{
    DAMAGE(damage, 24);
    damage.runs[0].page_size = 512;
    expect_refused(&damage, 0, "pages of 512 bytes for a database of 1024");
}

TEST(the_runs_of_a_commit_belong_together)
{
    DAMAGE(size, 24);
    DAMAGE(hash, 24);
    expect_applied(&size, 0);
    size.runs[1].pages_after++;
    legal_bytes += 1024;
    expect_refused(&size, 1, "a run of another commit");
    expect_applied(&hash, 0);
    hash.runs[1].rolling_hash++;
    expect_refused(&hash, 1, "a run of another commit");
}

TEST(no_page_comes_twice_in_a_commit)
{
    DAMAGE(twice, 24);
    DAMAGE(backwards, 24);
    expect_applied(&twice, 0);
    expect_refused(&twice, 0, "page 1 after page 5");
    backwards.runs[1].is_last = false;
    expect_applied(&backwards, 1);
    backwards.runs[0].is_last = true;
    expect_refused(&backwards, 0, "page 1 after page 24");
}

TEST(no_page_that_a_commit_adds_may_be_missing)
{
    DAMAGE(end, 24);
    DAMAGE(gap, 24);
    DAMAGE(far, 24);
    expect_applied(&end, 0);
    end.runs[1].count--;
    expect_refused(&end, 1, "ends at page 23 of a database of 24");
    gap.commit.pages[21]++; /* page 22 */
    gap.commit.pages[22]++;
    gap.runs[1].count = 18;
    expect_applied(&gap, 0);
    expect_refused(&gap, 1, "adds page 23 without");
    far.commit.pages[5] = UINT32_C(4294967294);
    far.runs[1].pages_after = far.runs[0].pages_after = UINT32_C(4294967294);
    far.runs[1].count = 1;
    expect_applied(&far, 0);
    expect_refused(&far, 1, "adds page 4294967294 without");
}

TEST(the_hash_is_compared_at_the_last_run)
{
    DAMAGE(wrong, 24);
    DAMAGE(shrunk, 10);
    wrong.runs[0].rolling_hash ^= 1;
    wrong.runs[1].rolling_hash ^= 1;
    expect_applied(&wrong, 0);
    expect_refused(&wrong, 1, "do not have the hash that a commit says");
    shrunk.runs[0].rolling_hash ^= 1;
    shrunk.runs[1].rolling_hash ^= 1;
    expect_applied(&shrunk, 0);
    expect_refused(&shrunk, 1, "do not have the hash that a commit says");
    EXPECT_INT(file_bytes(&shrunk.stand), 20 * 1024); /* and nothing was cut */
}

TEST(previous_images_that_differ_in_one_bit_are_found)
{
    DAMAGE(damage, 24);
    uint8_t byte = 0;
    struct err err = {0};

    expect_applied(&damage, 0);
    REQUIRE_OK(fs_read_at(damage.stand.target.fd, &byte, 1, 7 * 1024 + 3, &err), &err);
    byte ^= 0x10;
    REQUIRE_OK(fs_write_at(damage.stand.target.fd, &byte, 1, 7 * 1024 + 3, &err), &err);
    expect_refused(&damage, 1, "hash");
}

TEST(what_is_cut_off_counts_too)
{
    DAMAGE(damage, 10);
    struct err err = {0};

    expect_applied(&damage, 0);
    REQUIRE_OK(fs_write_at(damage.stand.target.fd, "other", 5, 19 * 1024, &err), &err);
    expect_refused(&damage, 1, "hash");
}

TEST(a_file_that_is_shorter_than_its_manifest_says_is_refused)
{
    DAMAGE(damage, 24);

    if (ftruncate(damage.stand.target.fd, 4 * 1024 + 1) != 0)
        abort();
    expect_refused(&damage, 0, "page 1: ");
}

/* Back to before the commit. */
static void damage_undo(struct damage *damage, const struct apply_target *target)
{
    struct err err = {0};

    damage->stand.target = *target;
    EXPECT_OK(fs_write_at(target->fd, damage->stand.model, 20 * 1024, 0, &err), &err);
    EXPECT_INT(ftruncate(target->fd, 20 * 1024), 0);
}

TEST(no_bit_of_a_frame_can_be_changed_and_give_other_pages)
{
    DAMAGE(damage, 24);
    const struct apply_target target = damage.stand.target;

    for (size_t bit = 0; bit < 8 * damage.runs[1].frame_size; bit++) {
        struct err err = {0};
        damage_undo(&damage, &target);
        expect_applied(&damage, 0);
        damage.frames[1].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!apply_one(&damage, 1, &err))
            EXPECT_INT(err.code, ERR_CORRUPT);
        else /* a bit without a meaning to zstd */
            expect_file(&damage.stand, damage.commit.after);
        damage.frames[1].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(nothing_is_freed_twice_or_kept)
{
    apply_free(NULL);
    apply_free(apply_new());
}

TAP_MAIN()
