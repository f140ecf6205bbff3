#include "snapshot/wal_reader.h"

#include "base/fs.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <string.h>

enum {
    WINDOW_MAX = 1 << 20, /* read at once */
    KEPT_MAX = 128 << 10, /* kept between two uses: more than most commits need */
    CHECKED_HEADER_BYTES = 8,
};

void wal_reader_init(struct wal_reader *reader, int fd, uint32_t page_size)
{
    *reader = (struct wal_reader){.fd = fd, .page_size = page_size, .window = BUF_INIT(WINDOW_MAX)};
}

void wal_reader_clear(struct wal_reader *reader)
{
    buf_clear(&reader->window);
    free(reader->changes);
    reader->changes = NULL;
    reader->count = reader->capacity = 0;
}

void wal_reader_trim(struct wal_reader *reader)
{
    buf_reset(&reader->window);
    if (reader->window.capacity + reader->capacity * sizeof(*reader->changes) > KEPT_MAX)
        wal_reader_clear(reader);
}

static size_t frame_size(const struct wal_reader *reader)
{
    return WAL_FRAME_HEADER_SIZE + reader->page_size;
}

static bool same_pair(const uint32_t one[2], const uint32_t other[2])
{
    return one[0] == other[0] && one[1] == other[1];
}

bool wal_reader_begin(struct wal_reader *reader, const struct wal_position *start, struct err *err)
{
    uint8_t bytes[WAL_FILE_HEADER_SIZE];
    struct wal_file_header header;

    if (!fs_read_at(reader->fd, bytes, sizeof(bytes), 0, err) || !wal_file_parse_header(bytes, &header, err))
        return err_wrap(err, "read the log");
    if (!same_pair(header.salt, start->salt) || header.page_size != reader->page_size)
        return err_set(err, ERR_CONFLICT, "the log is not the one that was read before");
    reader->big_endian = header.big_endian;
    reader->position = *start;
    if (start->frame == 0)
        memcpy(reader->position.checksum, header.checksum, sizeof(header.checksum));
    buf_reset(&reader->window); /* the same numbers may mean other frames now */
    return true;
}

/* The frame in the window, or NULL. */
static const uint8_t *in_window(const struct wal_reader *reader, uint32_t frame)
{
    size_t held = reader->window.size / frame_size(reader);

    if (frame < reader->window_first || frame - reader->window_first >= held)
        return NULL;
    return reader->window.bytes + (frame - reader->window_first) * frame_size(reader);
}

/* Never beyond the limit: what is there may still change. */
static bool move_window(struct wal_reader *reader, uint32_t first, uint32_t limit, struct err *err)
{
    size_t frames = (WINDOW_MAX - 1) / frame_size(reader);
    uint8_t *bytes;

    if (frames > limit - first + 1)
        frames = limit - first + 1;
    buf_reset(&reader->window);
    reader->window_first = first;
    bytes = buf_extend(&reader->window, frames * frame_size(reader));
    assert(bytes);
    if (fs_read_at(reader->fd, bytes, frames * frame_size(reader),
                   wal_file_frame_offset(first, reader->page_size), err))
        return true;
    buf_reset(&reader->window);
    return err_wrap(err, "read %zu frames of the log from %u on", frames, first);
}

/* Moves *position over the frame that follows it, if it is one. */
static bool step(const struct wal_reader *reader, const uint8_t *bytes, struct wal_position *position,
                 struct wal_frame_header *ret_header, struct err *err)
{
    struct wal_position next = *position;
    struct wal_frame_header header;

    wal_file_parse_frame(bytes, &header);
    next.frame++;
    if (!same_pair(header.salt, position->salt) || header.page == 0)
        return err_set(err, ERR_CORRUPT, "frame %u does not belong to the log", next.frame);
    wal_file_sum(reader->big_endian, bytes, CHECKED_HEADER_BYTES, next.checksum);
    wal_file_sum(reader->big_endian, bytes + WAL_FRAME_HEADER_SIZE, reader->page_size, next.checksum);
    if (!same_pair(header.checksum, next.checksum))
        return err_set(err, ERR_CORRUPT, "frame %u of the log fails its checksum", next.frame);
    *position = next;
    *ret_header = header;
    return true;
}

static void note(struct wal_reader *reader, uint32_t page, uint32_t frame)
{
    if (reader->count == reader->capacity) {
        reader->capacity = reader->capacity > 0 ? 2 * reader->capacity : 64;
        reader->changes = xrealloc(reader->changes, reader->capacity * sizeof(*reader->changes));
    }
    reader->changes[reader->count++] = (struct wal_change){.page = page, .frame = frame};
}

static int by_page_and_frame(const void *one, const void *other)
{
    const struct wal_change *first = one, *second = other;

    if (first->page != second->page)
        return first->page < second->page ? -1 : 1;
    return first->frame < second->frame ? -1 : first->frame > second->frame;
}

/* A page may be written more than once in one transaction (a cache that overflowed), and a transaction may
 * have written pages that it cut off later. */
static void settle_changes(struct wal_reader *reader, uint32_t pages_after)
{
    uint32_t lock_page = pagehash_lock_page(reader->page_size);
    size_t kept = 0;

    qsort(reader->changes, reader->count, sizeof(*reader->changes), by_page_and_frame);
    for (size_t at = 0; at < reader->count; at++) {
        struct wal_change change = reader->changes[at];
        bool is_newest = at + 1 == reader->count || reader->changes[at + 1].page != change.page;
        if (is_newest && change.page <= pages_after && change.page != lock_page)
            reader->changes[kept++] = change;
    }
    reader->count = kept;
}

bool wal_reader_next(struct wal_reader *reader, uint32_t limit, struct wal_commit *ret_commit,
                     struct err *err)
{
    struct wal_position at = reader->position;
    struct wal_frame_header header = {0};

    assert(at.frame < limit);
    reader->count = 0;
    while (header.commit == 0) {
        if (at.frame == limit)
            return err_set(err, ERR_CORRUPT, "no commit ends at frame %u of the log", limit);
        if (!in_window(reader, at.frame + 1) && !move_window(reader, at.frame + 1, limit, err))
            return false;
        if (!step(reader, in_window(reader, at.frame + 1), &at, &header, err))
            return false;
        note(reader, header.page, at.frame);
    }
    settle_changes(reader, header.commit);
    reader->position = at;
    *ret_commit = (struct wal_commit){
        .end = at, .pages_after = header.commit, .changes = reader->changes, .count = reader->count};
    return true;
}

bool wal_reader_page(struct wal_reader *reader, uint32_t frame, uint8_t *bytes, struct err *err)
{
    const uint8_t *held = in_window(reader, frame);

    if (held) {
        memcpy(bytes, held + WAL_FRAME_HEADER_SIZE, reader->page_size);
        return true;
    }
    return fs_read_at(reader->fd, bytes, reader->page_size,
                      wal_file_frame_offset(frame, reader->page_size) + WAL_FRAME_HEADER_SIZE, err) ||
           err_wrap(err, "read frame %u of the log", frame);
}
