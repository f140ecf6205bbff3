/* One commit as runs of pages: what each page was, and what it is now.
 *
 * The previous image of a page is its newest collected frame of this log, or else the page in the database
 * file. That is exact although others checkpoint into the file all the time: a frame gets there only if no
 * mark stands before it, and our mark is never past what has been collected. So a page of the file is what it
 * was when the log began, unless a collected frame has it.
 *
 * The rolling hash after the commit is said with its first run, before the others have been read for handing
 * over. So a commit that is too large for memory is read twice, and the two readings must agree. */
#include "base/fs.h"
#include "snapshot/collector.h"
#include "snapshot/pagehash.h"

#include <assert.h>

/* Some pages of a commit, with both images in the collector's buffers. */
struct run {
    size_t first; /* of the commit's changes */
    uint32_t count;
    uint32_t previous_count;
};

static uint32_t run_pages_max(const struct collector *collector)
{
    uint32_t pages = COLLECT_RUN_BYTES_MAX / collector->page_size;

    return pages < DATABASE_RUN_PAGES_MAX ? pages : DATABASE_RUN_PAGES_MAX;
}

static uint8_t *room_for(const struct collector *collector, struct buf *buf, uint32_t pages)
{
    uint8_t *room;

    buf_reset(buf);
    room = buf_extend(buf, (size_t)pages * collector->page_size);
    assert(room);
    return room;
}

/* How many of the pages follow each other in the database file. */
static uint32_t stretch_in_file(const struct collector *collector, const uint32_t *pages, uint32_t count)
{
    uint32_t length = 1;

    while (length < count && pages[length] == pages[0] + length &&
           page_map_get(&collector->map, pages[length]) == 0)
        length++;
    return length;
}

/* Fills collector->previous with what these pages, ascending, have been. */
static bool load_previous(struct collector *collector, const uint32_t *pages, uint32_t count, struct err *err)
{
    size_t page_size = collector->page_size;
    uint8_t *bytes = room_for(collector, &collector->previous, count);

    for (uint32_t at = 0, length = 1; at < count; at += length) {
        uint32_t frame = page_map_get(&collector->map, pages[at]);
        length = frame > 0 ? 1 : stretch_in_file(collector, pages + at, count - at);
        if (frame > 0 ? !wal_reader_page(&collector->reader, frame, bytes + at * page_size, err)
                      : !fs_read_at(collector->database_fd, bytes + at * page_size, length * page_size,
                                    (uint64_t)(pages[at] - 1) * page_size, err))
            return err_wrap(err, "read what page %u has been", pages[at]);
    }
    return true;
}

static bool load_run(struct collector *collector, const struct wal_commit *commit, size_t first,
                     struct run *ret_run, struct err *err)
{
    struct run run = {.first = first};
    uint8_t *bytes;

    run.count = run_pages_max(collector);
    if (run.count > commit->count - first)
        run.count = (uint32_t)(commit->count - first);
    bytes = room_for(collector, &collector->images, run.count);
    for (uint32_t at = 0; at < run.count; at++) {
        const struct wal_change *change = &commit->changes[first + at];
        collector->numbers[at] = change->page;
        run.previous_count += change->page <= collector->pages;
        if (!wal_reader_page(&collector->reader, change->frame, bytes + (size_t)at * collector->page_size,
                             err))
            return false;
    }
    if (!load_previous(collector, collector->numbers, run.previous_count, err))
        return false;
    *ret_run = run;
    return true;
}

static uint64_t hash_page(const struct collector *collector, const struct buf *pages, uint32_t at)
{
    return pagehash_of(pages->bytes + (size_t)at * collector->page_size, collector->page_size,
                       collector->page_size, collector->numbers[at]);
}

static uint64_t hash_previous(const struct collector *collector, uint32_t count)
{
    uint64_t hash = 0;

    for (uint32_t at = 0; at < count; at++)
        hash ^= hash_page(collector, &collector->previous, at);
    return hash;
}

/* By how much the loaded run changes the rolling hash. */
static uint64_t hash_run(struct collector *collector, const struct run *run)
{
    uint64_t hash = hash_previous(collector, run->previous_count);

    for (uint32_t at = 0; at < run->count; at++) {
        collector->hashes[at] = hash_page(collector, &collector->images, at);
        hash ^= collector->hashes[at];
    }
    return hash;
}

/* The pages that the commit has cut off leave the hash. */
static bool hash_cut(struct collector *collector, uint32_t pages_after, uint64_t *ret_hash, struct err *err)
{
    uint32_t lock_page = pagehash_lock_page(collector->page_size);
    uint64_t hash = 0;

    for (uint64_t page = (uint64_t)pages_after + 1; page <= collector->pages;) {
        uint32_t count = 0;
        for (; page <= collector->pages && count < run_pages_max(collector); page++)
            if (page != lock_page)
                collector->numbers[count++] = (uint32_t)page;
        if (!load_previous(collector, collector->numbers, count, err))
            return err_wrap(err, "read what is cut off");
        hash ^= hash_previous(collector, count);
    }
    *ret_hash = hash;
    return true;
}

/* Ends with the last run loaded. */
static bool hash_commit(struct collector *collector, const struct wal_commit *commit, struct run *ret_last,
                        uint64_t *ret_runs, uint64_t *ret_cut, struct err *err)
{
    struct run run = {0};
    uint64_t runs = 0;

    if (!hash_cut(collector, commit->pages_after, ret_cut, err))
        return false;
    for (size_t at = 0; at < commit->count; at += run.count) {
        if (!load_run(collector, commit, at, &run, err))
            return false;
        runs ^= hash_run(collector, &run);
    }
    *ret_last = run;
    *ret_runs = runs;
    return true;
}

/* SQLite writes every page by which the database grows, so what was never written is never asked for. */
static bool has_all_new_pages(const struct collector *collector, const struct wal_commit *commit)
{
    uint32_t lock_page = pagehash_lock_page(collector->page_size);
    size_t wanted, found = 0;

    if (commit->pages_after <= collector->pages)
        return true;
    wanted = commit->pages_after - collector->pages;
    wanted -= collector->pages < lock_page && lock_page <= commit->pages_after;
    while (found < commit->count && commit->changes[commit->count - 1 - found].page > collector->pages)
        found++;
    return found == wanted;
}

static bool hand_over_run(struct collector *collector, const struct wal_commit *commit, const struct run *run,
                          uint64_t rolling_change, struct err *err)
{
    const struct database_run handed = {
        .page_size = collector->page_size,
        .pages_before = collector->pages,
        .pages_after = commit->pages_after,
        .is_first = run->first == 0,
        .is_last = run->first + run->count == commit->count,
        .rolling_change = rolling_change,
        .count = run->count,
        .pages = collector->numbers,
        .images = collector->images.bytes,
        .hashes = collector->hashes,
        .previous = collector->previous.bytes,
        .previous_count = run->previous_count,
    };

    return collector->sink.take(collector->sink.context, &handed, err) || err_wrap(err, "hand over a commit");
}

/* `run` is the last one, as loaded; if it is not the only one, all are loaded again. */
static bool hand_over_runs(struct collector *collector, const struct wal_commit *commit, struct run run,
                           uint64_t expected, uint64_t rolling_change, struct err *err)
{
    bool is_loaded = run.first == 0;

    for (size_t at = 0; at < commit->count; at += run.count) {
        if (!is_loaded && !load_run(collector, commit, at, &run, err))
            return false;
        expected ^= hash_run(collector, &run);
        if (at + run.count == commit->count && expected != 0)
            return err_set(err, ERR_CORRUPT, "a commit has changed while it was read");
        if (!hand_over_run(collector, commit, &run, rolling_change, err))
            return false;
    }
    return true;
}

bool collector_hand_over(struct collector *collector, const struct wal_commit *commit, struct err *err)
{
    struct run last = {0};
    uint64_t runs = 0, cut = 0, rolling_change;

    if (commit->count == 0)
        return err_set(err, ERR_CORRUPT, "a commit has no page");
    if (!has_all_new_pages(collector, commit))
        return err_set(err, ERR_CONFLICT,
                       "lost continuity: a commit grows the database from %u to %u pages "
                       "without writing all of them",
                       collector->pages, commit->pages_after);
    if (!hash_commit(collector, commit, &last, &runs, &cut, err))
        return false;
    rolling_change = collector->rolling_change ^ runs ^ cut;
    if (!hand_over_runs(collector, commit, last, runs, rolling_change, err))
        return false;
    for (size_t at = 0; at < commit->count; at++)
        page_map_put(&collector->map, commit->changes[at].page, commit->changes[at].frame);
    collector->pages = commit->pages_after;
    collector->rolling_change = rolling_change;
    return true;
}
