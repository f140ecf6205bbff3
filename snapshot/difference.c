/* The record that carries a difference states the rolling hash of what lies here, and a restore would fail if
 * a page were left out. That none is, follows from the XOR: the values of the table lead to what was shipped,
 * and, with those of the changed pages replaced, to what is here. */
#include "snapshot/difference.h"

#include "snapshot/page_table.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <string.h>

enum {
    PIECE_BYTES = 64 << 10, /* stays in a core's cache between the copy and the hash */
    PIECE_PAGES_MAX = PIECE_BYTES / 512,
    RANGE_BYTES = 16 << 20, /* of one task */
    RANGES_PENDING = 16,
};

/* One task: some pages, whose bits nobody else's share a byte with. */
struct range {
    const struct difference *difference;
    uint32_t first, last;
    uint64_t rolling_hash;
    uint64_t change; /* of the rolling hash */
    uint64_t changed_count, changed_hash;
};

bool difference_begin(struct difference *difference, const struct base_database *source,
                      const struct manifest_database *before, int table_fd, struct err *err)
{
    const struct database_frozen *frozen = database_frozen(source->database);

    *difference = (struct difference){
        .source = source,
        .before = before,
        .table_fd = table_fd,
        .page_size = frozen->page_size,
        .pages = frozen->page_count,
    };
    if (frozen->page_size != before->page_size || frozen->page_count == 0)
        return err_set(err, ERR_CONFLICT, "%s has another page size than what was shipped of it",
                       source->path);
    difference->changed = xcalloc((size_t)difference->pages / 8 + 1, 1);
    return true;
}

void difference_end(struct difference *difference)
{
    close_fdp(&difference->table_fd);
    free(difference->changed);
    difference->changed = NULL;
}

static bool is_changed(const struct difference *difference, uint64_t page)
{
    return difference->changed[(page - 1) / 8] & 1 << (page - 1) % 8;
}

static void set_changed(const struct difference *difference, uint32_t page)
{
    difference->changed[(page - 1) / 8] |= (uint8_t)(1 << (page - 1) % 8);
}

static bool read_pages(const struct difference *difference, uint32_t first, uint32_t count, uint8_t *bytes,
                       struct err *err)
{
    return database_read_frozen(difference->source->database, (uint64_t)(first - 1) * difference->page_size,
                                bytes, (size_t)count * difference->page_size, err);
}

static uint32_t pages_from(uint64_t first, uint64_t last, uint32_t most)
{
    return last - first + 1 < most ? (uint32_t)(last - first + 1) : most;
}

/* --- finding ----------------------------------------------------------------------------------------- */

/* then: of the first `known` pages, what was shipped. */
static void compare_piece(struct range *range, uint32_t first, uint32_t count, const uint64_t *now,
                          const uint64_t *then, uint32_t known)
{
    uint32_t lock_page = pagehash_lock_page(range->difference->page_size);

    for (uint32_t at = 0; at < count; at++) {
        uint64_t old = at < known ? then[at] : 0;
        if (first + at == lock_page || (at < known && old == now[at]))
            continue;
        set_changed(range->difference, first + at);
        range->changed_count++;
        range->changed_hash ^= now[at];
        range->change ^= old ^ now[at];
    }
}

static bool find_in_piece(struct range *range, uint32_t first, uint32_t count, uint8_t *bytes,
                          struct err *err)
{
    const struct difference *difference = range->difference;
    uint64_t now[PIECE_PAGES_MAX], then[PIECE_PAGES_MAX], shipped = difference->before->pages;
    uint32_t known = first > shipped ? 0 : pages_from(first, shipped, count);

    if (!read_pages(difference, first, count, bytes, err) ||
        !page_table_read(difference->table_fd, first, then, known, err))
        return false;
    range->rolling_hash ^=
        pagehash_each(bytes, (size_t)count * difference->page_size, difference->page_size, first, now);
    compare_piece(range, first, count, now, then, known);
    return true;
}

static bool find_in_range(void *context, struct err *err)
{
    struct range *range = context;
    CLEANUP(freep) uint8_t *bytes = xmalloc(PIECE_BYTES);
    uint32_t most = PIECE_BYTES / range->difference->page_size, count;

    for (uint64_t first = range->first; first <= range->last; first += count) {
        count = pages_from(first, range->last, most);
        if (!find_in_piece(range, (uint32_t)first, count, bytes, err))
            return false;
    }
    return true;
}

/* The pages that are gone. */
static bool find_cut(const struct difference *difference, uint64_t *change, struct err *err)
{
    uint64_t then[PIECE_PAGES_MAX], last = difference->before->pages;
    uint32_t count;

    for (uint64_t first = (uint64_t)difference->pages + 1; first <= last; first += count) {
        count = pages_from(first, last, PIECE_PAGES_MAX);
        if (!page_table_read(difference->table_fd, first, then, count, err))
            return false;
        for (uint32_t at = 0; at < count; at++)
            *change ^= then[at];
    }
    return true;
}

/* A commit has a page at least. */
static bool have_one(struct difference *difference, struct err *err)
{
    if (difference->changed_count > 0 || difference->pages == difference->before->pages)
        return true;
    if (!page_table_read(difference->table_fd, 1, &difference->changed_hash, 1, err))
        return false;
    set_changed(difference, 1);
    difference->changed_count = 1;
    return true;
}

static struct range *ranges_of(const struct difference *difference, size_t *ret_count)
{
    uint32_t step = RANGE_BYTES / difference->page_size;
    size_t count = (difference->pages + (uint64_t)step - 1) / step;
    struct range *ranges = xcalloc(count, sizeof(*ranges));

    for (size_t at = 0; at < count; at++) {
        uint64_t last = (at + 1) * (uint64_t)step;
        ranges[at] = (struct range){
            .difference = difference,
            .first = (uint32_t)(at * step + 1),
            .last = last < difference->pages ? (uint32_t)last : difference->pages,
        };
    }
    *ret_count = count;
    return ranges;
}

bool difference_find(struct difference *difference, struct pool *pool, struct err *err)
{
    size_t count = 0;
    CLEANUP(freep) struct range *ranges = ranges_of(difference, &count);
    struct task_group group;
    uint64_t change = 0;

    group_init(&group, pool, RANGES_PENDING);
    for (size_t at = 0; at < count && !group_failed(&group); at++)
        group_submit(&group, find_in_range, &ranges[at]);
    if (!group_wait(&group, err) || !find_cut(difference, &change, err))
        return false;
    for (size_t at = 0; at < count; at++) {
        difference->rolling_hash ^= ranges[at].rolling_hash;
        difference->changed_count += ranges[at].changed_count;
        difference->changed_hash ^= ranges[at].changed_hash;
        change ^= ranges[at].change;
    }
    if ((difference->before->rolling_hash ^ change) != difference->rolling_hash)
        return err_set(err, ERR_CORRUPT, "%s: its table of page hashes is wrong", difference->source->path);
    return have_one(difference, err);
}

/* --- handing over ------------------------------------------------------------------------------------ */

/* Some of the pages, on their way into the outbox. */
struct handed {
    uint32_t pages[DELTA_PAGES_MAX];
    uint64_t hashes[DELTA_PAGES_MAX];
    uint8_t *bytes;
    uint32_t count;
    uint64_t left;      /* of the changed pages */
    uint64_t left_hash; /* … and what they must hash to */
    bool is_first;
};

static bool read_run(const struct difference *difference, struct handed *handed, struct err *err)
{
    uint32_t length;

    for (uint32_t at = 0; at < handed->count; at += length) {
        uint8_t *bytes = handed->bytes + (size_t)at * difference->page_size;
        uint32_t first = handed->pages[at];
        length = 1;
        while (at + length < handed->count && handed->pages[at + length] == first + length)
            length++;
        if (!read_pages(difference, first, length, bytes, err))
            return false;
        handed->left_hash ^= pagehash_each(bytes, (size_t)length * difference->page_size,
                                           difference->page_size, first, handed->hashes + at);
    }
    return true;
}

static bool hand_over_run(const struct difference *difference, struct handed *handed, struct outbox *outbox,
                          struct err *err)
{
    struct database_run run = {
        .page_size = difference->page_size,
        .pages_after = difference->pages,
        .is_first = handed->is_first,
        .is_last = handed->left == handed->count,
        .count = handed->count,
        .pages = handed->pages,
        .images = handed->bytes,
        .hashes = handed->hashes,
    };

    if (!read_run(difference, handed, err))
        return false;
    if (run.is_last && handed->left_hash != 0)
        return err_set(err, ERR_CORRUPT, "%s has changed while it was read", difference->source->path);
    handed->left -= handed->count;
    handed->count = 0;
    handed->is_first = false;
    return outbox_add(outbox, difference->source, difference->rolling_hash, &run, err);
}

bool difference_add(struct difference *difference, struct outbox *outbox, struct err *err)
{
    uint32_t most = delta_pages_max(difference->page_size);
    CLEANUP(freep) struct handed *handed = xcalloc(1, sizeof(*handed));
    CLEANUP(freep) uint8_t *bytes = xmalloc((size_t)most * difference->page_size);

    handed->bytes = bytes;
    handed->left = difference->changed_count;
    handed->left_hash = difference->changed_hash;
    handed->is_first = true;
    for (uint64_t page = 1; handed->left > 0; page++) {
        assert(page <= difference->pages);
        if (is_changed(difference, page))
            handed->pages[handed->count++] = (uint32_t)page;
        if (handed->count > 0 && (handed->count == most || handed->count == handed->left) &&
            !hand_over_run(difference, handed, outbox, err))
            return false;
    }
    return true;
}
