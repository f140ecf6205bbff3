/* Runs onto a database file.
 *
 * The invariant: between two commits file, pages and rolling hash of the target agree; the file is what is on
 * the disk with the images over it that are kept in memory (hot_pages.h). Within a commit it is ahead, but
 * never in a page whose previous image is still needed: pages ascend over all runs of a commit, so none comes
 * twice, and what is cut off at the end is above all that were written.
 *
 * Growth has no gaps: each page that a commit adds comes in one of its runs. So what a hostile run can make
 * of the file is bounded by its own bytes, and no page is ever in the file that is not in the hash. */
#include "snapshot/apply.h"

#include "base/fs.h"
#include "snapshot/data_layout.h"
#include "snapshot/hot_pages.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct apply {
    struct codec *codec;
    struct buf images;
    struct buf previous;   /* or what is cut off, piece by piece */
    struct hot_pages *hot; /* NULL: every image is written at once */
};

struct apply *apply_new(void)
{
    struct apply *apply = xcalloc(1, sizeof(*apply));

    apply->codec = codec_new();
    apply->images = (struct buf)BUF_INIT(DELTA_BYTES_MAX);
    apply->previous = (struct buf)BUF_INIT(DELTA_BYTES_MAX);
    return apply;
}

void apply_free(struct apply *apply)
{
    if (!apply)
        return;
    codec_free(apply->codec);
    buf_clear(&apply->images);
    buf_clear(&apply->previous);
    hot_pages_free(apply->hot);
    free(apply);
}

void apply_keep(struct apply *apply, size_t bytes)
{
    assert(!apply->hot);
    apply->hot = hot_pages_new(bytes);
}

bool apply_flush(struct apply *apply, const struct apply_target *target, struct err *err)
{
    return !apply->hot || hot_pages_flush(apply->hot, target->fd, err);
}

void apply_forget(struct apply *apply, const struct apply_target *target)
{
    if (!apply->hot)
        return;
    hot_pages_forget(apply->hot, target->fd);
    if (target->is_unproved)
        (void)hot_pages_hash(apply->hot);
}

bool apply_can_want(struct apply *apply)
{
    return apply->hot && hot_pages_can_want(apply->hot);
}

bool apply_want(struct apply *apply, const struct apply_target *target, uint32_t page)
{
    return page > target->pages || target->beside ||
           hot_pages_want(apply->hot, target->fd, page, target->page_size);
}

bool apply_read_wanted(struct apply *apply)
{
    return hot_pages_read(apply->hot);
}

static uint8_t *room_of(struct buf *buf, size_t size)
{
    uint8_t *room;

    buf_reset(buf);
    room = buf_extend(buf, size);
    assert(room);
    return room;
}

static uint64_t offset_of(const struct apply_target *target, uint64_t page)
{
    return (page - 1) * target->page_size;
}

static bool read_pages(const struct apply_target *target, uint32_t page, size_t size, uint8_t *bytes,
                       struct err *err)
{
    if (target->beside)
        return page_overlay_read(target->beside, target->fd, page, bytes, size, err);
    return fs_read_at(target->fd, bytes, size, offset_of(target, page), err);
}

/* The last page that is there after the runs so far, `last_page` included: the page of the locks, which never
 * comes, is taken as there when it is next. */
static uint64_t reached(const struct apply_target *target, uint64_t last_page)
{
    uint64_t page = last_page > target->pages ? last_page : target->pages;

    return page + 1 == pagehash_lock_page(target->page_size) ? page + 1 : page;
}

/* Opens a commit, or goes on with the one that is open. */
static bool follow(struct apply_target *target, const struct data_run *run, struct err *err)
{
    if (run->page_size != target->page_size)
        return err_set(err, ERR_CORRUPT, "a run of pages of %" PRIu32 " bytes for a database of %" PRIu32,
                       run->page_size, target->page_size);
    if (!target->in_commit) {
        target->in_commit = true;
        target->pages_after = run->pages_after;
        target->last_page = 0;
        if (!target->is_unproved)
            target->rolling_next = target->rolling_hash;
        target->rolling_due = run->rolling_hash;
    }
    if (run->pages_after != target->pages_after || run->rolling_hash != target->rolling_due)
        return err_set(err, ERR_CORRUPT, "a run of another commit than the one before");
    if (data_run_page(run, 0) <= target->last_page)
        return err_set(err, ERR_CORRUPT, "a commit that has page %" PRIu32 " after page %" PRIu32,
                       data_run_page(run, 0), target->last_page);
    return true;
}

/* How many of the run's pages have a previous image: they come first. Those after them add to the file
 * without a gap, and the last run adds all that is missing. */
static bool check_growth(const struct apply_target *target, const struct data_run *run,
                         uint32_t *ret_previous_count, struct err *err)
{
    uint64_t last_page = target->last_page;
    uint32_t previous_count = 0;

    for (uint32_t at = 0; at < run->count; at++) {
        uint32_t page = data_run_page(run, at);
        if (page <= target->pages)
            previous_count++;
        else if (page != reached(target, last_page) + 1)
            return err_set(err, ERR_CORRUPT, "a commit that adds page %" PRIu32 " without those before it",
                           page);
        last_page = page;
    }
    if (run->is_last && reached(target, last_page) < target->pages_after)
        return err_set(err, ERR_CORRUPT,
                       "a commit that ends at page %" PRIu64 " of a database of %" PRIu32 " pages", last_page,
                       target->pages_after);
    *ret_previous_count = previous_count;
    return true;
}

/* Pages of the run from `at` on, below `end`, that lie one behind the other, no more than one piece of
 * them. */
static uint32_t stretch_of(const struct data_run *run, uint32_t at, uint32_t end)
{
    uint32_t first = data_run_page(run, at), count = 1;

    while (at + count < end && count < FS_PIECE_BYTES / run->page_size &&
           data_run_page(run, at + count) == first + count)
        count++;
    return count;
}

/* What is beside a database has a place of its own. */
static bool has_kept(const struct apply *apply, const struct apply_target *target)
{
    return apply->hot && !target->beside;
}

/* The image of a page that is kept, which leaves the hash; false: it is in the file. */
static bool take_kept(struct apply *apply, struct apply_target *target, uint32_t page, uint8_t *previous)
{
    uint64_t hash = 0;
    const uint8_t *bytes =
        has_kept(apply, target) ? hot_pages_take(apply->hot, target->fd, page, &hash) : NULL;

    if (!bytes)
        return false;
    memcpy(previous, bytes, target->page_size);
    target->rolling_next ^= hash;
    return true;
}

/* As stretch_of(), as far as nothing is kept: the first page isn't. */
static uint32_t stretch_in_file(struct apply *apply, const struct apply_target *target,
                                const struct data_run *run, uint32_t at, uint32_t end)
{
    uint32_t stretch = stretch_of(run, at, end), count = 1;
    uint64_t ignored;

    if (!has_kept(apply, target))
        return stretch;
    while (count < stretch &&
           !hot_pages_find(apply->hot, target->fd, data_run_page(run, at + count), &ignored))
        count++;
    return count;
}

static bool take_written(struct apply_target *target, uint32_t page, size_t size, uint8_t *previous,
                         struct err *err)
{
    if (!read_pages(target, page, size, previous, err))
        return false;
    target->rolling_next ^= pagehash_of(previous, size, target->page_size, page);
    return true;
}

/* Reads the first `count` pages of the run; they leave the hash. */
static bool take_previous(struct apply *apply, struct apply_target *target, const struct data_run *run,
                          uint32_t count, uint8_t *previous, struct err *err)
{
    for (uint32_t at = 0, stretch; at < count; at += stretch) {
        uint32_t page = data_run_page(run, at);
        bool kept = take_kept(apply, target, page, previous);
        stretch = kept ? 1 : stretch_in_file(apply, target, run, at, count);
        if (!kept && !take_written(target, page, (size_t)stretch * run->page_size, previous, err))
            return err_wrap(err, "page %" PRIu32, page);
        previous += (size_t)stretch * run->page_size;
    }
    return true;
}

/* The new images enter the hash. */
static void hash_images(struct apply_target *target, const struct data_run *run, const uint8_t *images)
{
    for (uint32_t at = 0; at < run->count; at++) {
        uint32_t page = data_run_page(run, at);
        uint64_t hash =
            pagehash_of(images + (size_t)at * run->page_size, run->page_size, run->page_size, page);
        target->rolling_next ^= hash;
        if (target->hashes)
            page_hashes_set(target->hashes, page, hash);
    }
}

static bool keep_images(const struct apply *apply, struct apply_target *target, const struct data_run *run,
                        const uint8_t *images, struct err *err)
{
    /* Of one target at a time: the hashes that are made are not told apart. */
    assert(target->is_unproved || hot_pages_unhashed(apply->hot) == 0);
    target->is_unproved = true;
    for (uint32_t at = 0; at < run->count; at++) {
        struct hot_page page = {target->fd, data_run_page(run, at), run->page_size, target->hashes,
                                images + (size_t)at * run->page_size};
        if (!hot_pages_put(apply->hot, &page, err))
            return false;
    }
    return true;
}

static bool write_images(const struct apply_target *target, const struct data_run *run, const uint8_t *images,
                         struct err *err)
{
    for (uint32_t at = 0; at < run->count;) {
        uint32_t stretch = stretch_of(run, at, run->count), page = data_run_page(run, at);
        size_t size = (size_t)stretch * run->page_size;
        if (target->beside ? !page_overlay_write(target->beside, page, images, size, err)
                           : !fs_write_at(target->fd, images, size, offset_of(target, page), err))
            return err_wrap(err, "page %" PRIu32, page);
        images += size;
        at += stretch;
    }
    return true;
}

/* What was kept unhashed enters the hash. */
static void hash_kept(const struct apply *apply, struct apply_target *target)
{
    target->rolling_next ^= hot_pages_hash(apply->hot);
}

/* What a shrinking commit cuts off leaves the hash; the file keeps it until the hash has been found right. */
static bool take_cut(struct apply *apply, struct apply_target *target, struct err *err)
{
    uint8_t *piece = room_of(&apply->previous, FS_PIECE_BYTES);
    uint64_t end = offset_of(target, target->pages + 1);
    size_t size;

    if (!apply_flush(apply, target, err))
        return false;
    if (target->is_unproved)
        hash_kept(apply, target);
    for (uint64_t at = offset_of(target, (uint64_t)target->pages_after + 1); at < end; at += size) {
        uint32_t page = (uint32_t)(at / target->page_size + 1);
        size = end - at < FS_PIECE_BYTES ? (size_t)(end - at) : FS_PIECE_BYTES;
        if (!read_pages(target, page, size, piece, err))
            return err_wrap(err, "what a commit cuts off");
        target->rolling_next ^= pagehash_of(piece, size, target->page_size, page);
    }
    return true;
}

static bool check_hash(const struct apply_target *target, uint64_t due, struct err *err)
{
    if (target->rolling_next != due)
        return err_set(err, ERR_CORRUPT,
                       "its pages do not have the hash that a commit says: %016" PRIx64 ", not %016" PRIx64,
                       target->rolling_next, due);
    return true;
}

bool apply_prove(struct apply *apply, struct apply_target *target, struct err *err)
{
    if (!target->is_unproved)
        return true;
    assert(!target->in_commit);
    hash_kept(apply, target);
    target->is_unproved = false;
    return check_hash(target, target->rolling_hash, err);
}

/* Nothing is cut off before it is proved that it is to be. */
static bool cuts(const struct apply_target *target, const struct data_run *run)
{
    return run->is_last && target->pages_after < target->pages;
}

static bool place_images(struct apply *apply, struct apply_target *target, const struct data_run *run,
                         const uint8_t *images, struct err *err)
{
    if (!has_kept(apply, target)) {
        hash_images(target, run, images);
        return (!run->is_last || check_hash(target, target->rolling_due, err)) &&
               write_images(target, run, images, err);
    }
    if (!keep_images(apply, target, run, images, err))
        return false;
    if (!cuts(target, run))
        return true;
    hash_kept(apply, target);
    return check_hash(target, target->rolling_due, err);
}

/* The commit is in the file, which writing has made as large as it must be, except where it shrinks or grows
 * by the page of the locks as its last. */
static bool finish_commit(struct apply_target *target, struct err *err)
{
    uint64_t size = (uint64_t)target->pages_after * target->page_size;
    bool is_cut = target->pages_after < target->pages;
    bool ends_with_locks = target->pages_after > target->pages && target->last_page < target->pages_after;

    if (!target->beside && (is_cut || ends_with_locks) && ftruncate(target->fd, (off_t)size) != 0)
        return err_errno(err, "make a database %" PRIu64 " bytes large", size);
    if (target->hashes)
        page_hashes_resize(target->hashes, target->pages_after);
    target->pages = target->pages_after;
    target->rolling_hash = target->rolling_due;
    target->in_commit = false;
    return true;
}

bool apply_run(struct apply *apply, struct apply_target *target, const struct data_run *run,
               const void *frame, size_t frame_size, struct err *err)
{
    size_t size = (size_t)run->count * run->page_size;
    struct codec_prefix prefix, nothing = {0};
    uint32_t previous_count;
    uint8_t *images, *previous;

    assert(!data_run_rule(run));
    if (!follow(target, run, err) || !check_growth(target, run, &previous_count, err))
        return false;
    prefix.size = (size_t)previous_count * run->page_size;
    prefix.bytes = previous = room_of(&apply->previous, prefix.size);
    images = room_of(&apply->images, size);
    if (!take_previous(apply, target, run, previous_count, previous, err) ||
        !delta_decode(apply->codec, frame, frame_size, run->is_alone ? nothing : prefix, images, size, err))
        return false;
    target->last_page = data_run_page(run, run->count - 1);
    if (cuts(target, run) && !take_cut(apply, target, err))
        return false;
    if (!place_images(apply, target, run, images, err))
        return false;
    return !run->is_last || finish_commit(target, err);
}
