/* A database file that commits are applied to, beside a plain model of it: an array of pages. Every access to
 * the file is watched. */
#ifndef TESTS_UNIT_APPLY_STAND_H
#define TESTS_UNIT_APPLY_STAND_H

#include "snapshot/apply.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"
#include "tests/tap.h"

#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE_MAX = 64 << 10 };

/* Every access of the file is watched, on whatever thread: never beyond what the format allows, never in
 * large pieces. */
static _Atomic uint64_t legal_bytes = UINT64_MAX;
static _Atomic size_t reads, writes;

static inline void watch(size_t size, off_t offset)
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
static inline uint32_t any(uint32_t below)
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
    bool keeps;     /* apply_keep(): the file is looked at now and then only */
};

static inline void stand_open(struct stand *stand, uint32_t page_size)
{
    *stand = (struct stand){.apply = apply_new(), .codec = codec_new()};
    stand->target.hashes = page_hashes_new(0);
    stand->target.fd = memfd_create("database", MFD_CLOEXEC);
    stand->target.page_size = page_size;
    stand->model = xmalloc(0);
    if (stand->target.fd < 0)
        abort();
}

static inline void stand_closep(struct stand *stand)
{
    apply_free(stand->apply); /* it may be writing */
    (void)close(stand->target.fd);
    codec_free(stand->codec);
    page_hashes_free(stand->target.hashes);
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

static inline void commit_clearp(struct commit *commit)
{
    free(commit->pages);
    free(commit->after);
}

/* Some bytes of the page change; a new one has bytes all over. */
static inline void change_page(uint8_t *page, uint32_t page_size, bool is_new)
{
    uint32_t at = is_new ? 0 : any(page_size), size = is_new ? page_size : any(page_size - at) + 1;

    for (uint32_t end = at + size; at < end; at++)
        page[at] = (uint8_t)any(256);
}

static inline bool is_lock_page(uint32_t page, uint32_t page_size)
{
    return page == pagehash_lock_page(page_size);
}

/* Changes each old page with a chance of one in `odds`, and the first one always, as SQLite does. */
static inline struct commit commit_make(const struct stand *stand, uint32_t pages_after, uint32_t odds)
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
static inline struct data_run run_of(const struct stand *stand, const struct commit *commit, uint32_t first,
                                     uint32_t count, struct buf *frame)
{
    uint32_t page_size = stand->target.page_size, previous_count = 0;
    bool is_alone = any(4) == 0;
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
                           (struct codec_prefix){previous, is_alone ? 0 : (size_t)previous_count * page_size},
                           frame, &err),
              &err);
    return (struct data_run){.path = "db",
                             .incarnation = 1,
                             .is_alone = is_alone,
                             .page_size = page_size,
                             .pages_after = commit->pages_after,
                             .is_last = first + count == commit->count,
                             .rolling_hash = commit->rolling_hash,
                             .count = count,
                             .pages = commit->pages + first,
                             .frame = frame->bytes,
                             .frame_size = frame->size};
}

static inline uint64_t file_bytes(const struct stand *stand)
{
    struct stat status;

    return fstat(stand->target.fd, &status) == 0 ? (uint64_t)status.st_size : UINT64_MAX;
}

/* Each page's, whatever was applied. */
static inline void expect_hashes(const struct stand *stand, const uint8_t *found)
{
    const struct page_hashes *hashes = stand->target.hashes;
    uint32_t page_size = stand->target.page_size;

    EXPECT_INT(hashes->count, stand->target.pages);
    for (uint64_t page = 1; page <= stand->target.pages; page++)
        EXPECT(hashes->values[page - 1] ==
               pagehash_of(found + (page - 1) * page_size, page_size, page_size, page));
}

static inline void expect_file(const struct stand *stand, const uint8_t *model)
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
    expect_hashes(stand, found);
    EXPECT(stand->target.rolling_hash == pagehash_of(found, size, stand->target.page_size, 1));
}

/* The model takes over what the commit has made. */
static inline void settle(struct stand *stand, struct commit *commit)
{
    struct err err = {0};

    free(stand->model);
    stand->model = MOVE(commit->after);
    if (stand->keeps && any(4) > 0)
        return;
    EXPECT_OK(apply_flush(stand->apply, &stand->target, &err), &err);
    expect_file(stand, stand->model);
}

static inline void apply_commit(struct stand *stand, struct commit *commit, uint32_t run_max)
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

static inline void grow_to(struct stand *stand, uint32_t pages_after)
{
    CLEANUP(commit_clearp) struct commit commit = commit_make(stand, pages_after, 5);

    apply_commit(stand, &commit, delta_pages_max(stand->target.page_size));
}

#endif
