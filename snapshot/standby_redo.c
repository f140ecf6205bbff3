/* Carrying out a step that was written down, as often as it takes.
 *
 * Why a repetition does no harm: a removal takes only what has the kind that it had before the step, so what
 * has moved in meanwhile stays; what has moved in is no longer in staging; images and attributes are
 * absolute. Removals come first, so that no directory is in the way of a file, and seals last, since every
 * change in a directory moves its time. */
#include "snapshot/standby_redo.h"

#include "base/fs.h"
#include "base/walk.h"
#include "snapshot/pagehash.h"
#include "snapshot/place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static const char redo_path[] = ".holdfast/redo";
static const char redo_magic[] = "HFREDO01";

enum { MAGIC_SIZE = sizeof(redo_magic) - 1 };

#define REDO_BYTES_MAX ((size_t)2 << 30)

/* --- writing it down --------------------------------------------------------------------------------- */

void standby_redo_init(struct standby_redo *redo)
{
    *redo = (struct standby_redo){0};
    for (int list = 0; list < STANDBY_LISTS; list++)
        redo->lists[list] = (struct buf)BUF_INIT(REDO_BYTES_MAX);
}

void standby_redo_clear(struct standby_redo *redo)
{
    for (int list = 0; list < STANDBY_LISTS; list++)
        buf_clear(&redo->lists[list]);
}

static struct buf *add_entry(struct standby_redo *redo, enum standby_list list, const char *path)
{
    redo->counts[list]++;
    wire_add_str(&redo->lists[list], path, strlen(path));
    return &redo->lists[list];
}

void standby_redo_remove(struct standby_redo *redo, const char *path, bool is_directory)
{
    wire_add_u8(add_entry(redo, STANDBY_REMOVALS, path), is_directory);
}

void standby_redo_patch(struct standby_redo *redo, const char *path, uint32_t number, uint64_t pages,
                        const struct page_overlay *overlay)
{
    struct buf *list = add_entry(redo, STANDBY_PATCHES, path);

    wire_add_u32(list, number);
    wire_add_u32(list, overlay->page_size);
    wire_add_u64(list, pages);
    wire_add_u32(list, (uint32_t)overlay->count);
    for (size_t at = 0; at < overlay->count; at++)
        wire_add_u32(list, overlay->pages[at]);
}

void standby_redo_seal(struct standby_redo *redo, const char *path,
                       const struct standby_attributes *attributes)
{
    standby_add_attributes(add_entry(redo, STANDBY_SEALS, path), attributes);
}

bool standby_redo_save(int directory_fd, const struct standby_redo *redo, const struct manifest *after,
                       struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(REDO_BYTES_MAX), state = BUF_INIT(STANDBY_STATE_MAX);
    struct digest hash;

    standby_state_encode(after, &state);
    buf_add_text(&bytes, redo_magic);
    wire_add_u32(&bytes, (uint32_t)state.size);
    buf_add(&bytes, state.bytes, state.size);
    for (int list = 0; list < STANDBY_LISTS; list++) {
        if (!buf_check(&redo->lists[list], redo_path, err))
            return false;
        wire_add_u32(&bytes, redo->counts[list]);
        buf_add(&bytes, redo->lists[list].bytes, redo->lists[list].size);
    }
    hash = digest_of(bytes.bytes, bytes.size);
    buf_add(&bytes, hash.bytes, HASH_SIZE);
    return buf_check(&state, redo_path, err) && buf_check(&bytes, redo_path, err) &&
           fs_replace_file(directory_fd, redo_path, bytes.bytes, bytes.size, 0600, err);
}

/* --- carrying it out --------------------------------------------------------------------------------- */

/* The path of the next entry, terminated. */
static bool read_path(struct wire_reader *reader, char path[TREE_PATH_MAX + 1], struct err *err)
{
    size_t size = 0;
    const char *text = wire_str(reader, &size);

    if (!tree_path_is_safe(text, size))
        return err_set(err, ERR_CORRUPT, "%s can't be read", redo_path);
    memcpy(path, text, size);
    path[size] = '\0';
    return true;
}

/* Something else is where a directory of that name was. */
static bool is_no_directory(const struct err *err)
{
    return err->code == ERR_NOT_FOUND || err->code == ERR_CORRUPT || err->number == ENOTDIR;
}

static bool is_done(bool is_directory)
{
    if (errno == ENOENT)
        return true;
    return is_directory ? errno == ENOTDIR || errno == ENOTEMPTY || errno == EEXIST : errno == EISDIR;
}

static bool carry_out_removal(int directory_fd, struct wire_reader *reader, struct err *err)
{
    char path[TREE_PATH_MAX + 1];
    CLEANUP(close_fdp) int parent = -1;
    const char *name;
    bool is_directory;
    struct err why;

    if (!read_path(reader, path, err))
        return false;
    is_directory = wire_u8(reader) != 0;
    if (!fs_open_parent(directory_fd, path, &parent, &name, &why))
        return is_no_directory(&why) || (*err = why, false);
    if (unlinkat(parent, name, is_directory ? AT_REMOVEDIR : 0) != 0 && !is_done(is_directory))
        return err_errno(err, "remove %s", path);
    return true;
}

static bool move_current(int directory_fd, struct walk *walk, struct err *err)
{
    CLEANUP(close_fdp) int to_fd = -1;

    if (*walk->path && !fs_make_directories(directory_fd, walk->path, 0755, err))
        return false;
    if (!fs_open_beneath(directory_fd, *walk->path ? walk->path : ".", O_RDONLY | O_DIRECTORY, 0, &to_fd,
                         err))
        return false;
    for (size_t at = 0; at < walk->count; at++) {
        const char *name = walk_name(walk, at), *path = walk_join(walk, name);
        if (strcmp(path, ".holdfast") == 0)
            continue;
        if (walk_is_directory(walk, at))
            walk_enter(walk, path);
        else if (renameat2(walk->fd, name, to_fd, name, 0) != 0)
            return err_errno(err, "move %s into place", path);
    }
    return true;
}

static bool move_in(int directory_fd, struct err *err)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    CLEANUP(close_fdp) int staging_fd = -1;
    struct err why;

    if (!fs_open_directory_beneath(directory_fd, STANDBY_STAGING, &staging_fd, &why))
        return why.code == ERR_NOT_FOUND || (*err = why, false);
    walk_begin(&walk, staging_fd);
    while (walk_next(&walk, err))
        if (!walk_list(&walk, err) || !move_current(directory_fd, &walk, err))
            return false;
    return !walk.failed;
}

struct patch {
    int from_fd;
    int to_fd;
    uint32_t page_size;
    uint64_t pages;
};

/* Images that lie one behind the other, and whose pages do too, go in one piece. Those of pages that were cut
 * off again later in the same step go nowhere. */
static bool write_images(const struct patch *patch, const uint8_t *pages_le, uint32_t count, struct err *err)
{
    CLEANUP(freep) uint8_t *piece = xmalloc(FS_PIECE_BYTES);
    struct wire_reader reader = wire_reader_of(pages_le, (size_t)count * 4);
    uint32_t page = count > 0 ? wire_u32(&reader) : 0;

    for (uint32_t at = 0, run; at < count; at += run) {
        uint32_t first = page, next = 0;
        size_t size;
        for (run = 1; at + run < count; run++) {
            next = wire_u32(&reader);
            if (next != first + run || (run + 1) * patch->page_size > FS_PIECE_BYTES || next > patch->pages)
                break;
        }
        page = next;
        size = (size_t)run * patch->page_size;
        if (first == 0)
            return err_set(err, ERR_CORRUPT, "%s can't be read", redo_path);
        if (first <= patch->pages &&
            (!fs_read_at(patch->from_fd, piece, size, (uint64_t)at * patch->page_size, err) ||
             !fs_write_at(patch->to_fd, piece, size, (uint64_t)(first - 1) * patch->page_size, err)))
            return false;
    }
    return true;
}

static bool carry_out_patch(int directory_fd, struct wire_reader *reader, struct err *err)
{
    char path[TREE_PATH_MAX + 1], from[64];
    CLEANUP(close_fdp) int from_fd = -1;
    CLEANUP(close_fdp) int to_fd = -1;
    struct patch patch;
    const uint8_t *pages_le;
    uint32_t number, count;

    if (!read_path(reader, path, err))
        return false;
    number = wire_u32(reader);
    patch.page_size = wire_u32(reader);
    patch.pages = wire_u64(reader);
    count = wire_u32(reader);
    pages_le = wire_bytes(reader, (size_t)count * 4);
    if (!pages_le || !pagehash_is_page_size(patch.page_size) || patch.pages > PAGEHASH_PAGES_MAX)
        return err_set(err, ERR_CORRUPT, "%s can't be read", redo_path);
    (void)snprintf(from, sizeof(from), STANDBY_PAGES "/%" PRIu32, number);
    if (!fs_open_beneath(directory_fd, from, O_RDONLY, 0, &from_fd, err) ||
        !fs_open_beneath(directory_fd, path, O_RDWR, 0, &to_fd, err))
        return false;
    patch.from_fd = from_fd;
    patch.to_fd = to_fd;
    if (!write_images(&patch, pages_le, count, err))
        return err_wrap(err, "%s", path);
    if (ftruncate(to_fd, (off_t)(patch.pages * patch.page_size)) != 0)
        return err_errno(err, "make %s %" PRIu64 " pages large", path, patch.pages);
    return true;
}

static bool carry_out_seal(int directory_fd, struct wire_reader *reader, struct err *err)
{
    char path[TREE_PATH_MAX + 1];
    CLEANUP(close_fdp) int fd = -1;
    struct standby_attributes new;

    if (!read_path(reader, path, err))
        return false;
    new = standby_read_attributes(reader);
    return (fs_open_beneath(directory_fd, path, O_RDONLY | O_NONBLOCK, 0, &fd, err) &&
            place_seal(fd, new.mode, new.uid, new.gid, new.mtime_ns, err)) ||
           err_wrap(err, "%s", path);
}

static bool carry_out_list(int directory_fd, struct wire_reader *reader, enum standby_list list,
                           struct err *err)
{
    uint32_t count = wire_u32(reader);

    for (; count > 0 && !reader->failed; count--) {
        bool done = false;
        switch (list) {
        case STANDBY_REMOVALS:
            done = carry_out_removal(directory_fd, reader, err);
            break;
        case STANDBY_PATCHES:
            done = carry_out_patch(directory_fd, reader, err);
            break;
        case STANDBY_SEALS:
            done = carry_out_seal(directory_fd, reader, err);
            break;
        case STANDBY_LISTS:
            break;
        }
        if (!done)
            return false;
    }
    return !reader->failed || err_set(err, ERR_CORRUPT, "%s can't be read", redo_path);
}

static bool carry_out(int directory_fd, struct wire_reader *reader, struct manifest *ret_after,
                      struct err *err)
{
    uint32_t size = wire_u32(reader);
    const uint8_t *state = wire_bytes(reader, size);

    if (!state)
        return err_set(err, ERR_CORRUPT, "%s can't be read", redo_path);
    if (!carry_out_list(directory_fd, reader, STANDBY_REMOVALS, err) || !move_in(directory_fd, err) ||
        !carry_out_list(directory_fd, reader, STANDBY_PATCHES, err) ||
        !carry_out_list(directory_fd, reader, STANDBY_SEALS, err))
        return false;
    return standby_state_decode(state, size, ret_after, err);
}

static bool check(const struct buf *bytes, struct err *err)
{
    struct digest hash;

    if (bytes->size < MAGIC_SIZE + HASH_SIZE || memcmp(bytes->bytes, redo_magic, MAGIC_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s is not of this release", redo_path);
    hash = digest_of(bytes->bytes, bytes->size - HASH_SIZE);
    return memcmp(hash.bytes, bytes->bytes + bytes->size - HASH_SIZE, HASH_SIZE) == 0 ||
           err_set(err, ERR_CORRUPT, "%s is damaged", redo_path);
}

bool standby_redo_carry_out(int directory_fd, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(REDO_BYTES_MAX);
    struct wire_reader reader;
    struct manifest after;
    struct err why;
    bool saved;

    if (!fs_read_file(directory_fd, redo_path, &bytes, &why))
        return why.code == ERR_NOT_FOUND || (*err = why, false);
    if (!check(&bytes, err))
        return false;
    reader = wire_reader_of(bytes.bytes + MAGIC_SIZE, bytes.size - MAGIC_SIZE - HASH_SIZE);
    if (!carry_out(directory_fd, &reader, &after, err))
        return err_wrap(err, "bring the copy up to date");
    saved = (syncfs(directory_fd) == 0 || err_errno(err, "make the copy durable")) &&
            standby_state_save(directory_fd, &after, err);
    manifest_clear(&after);
    if (!saved)
        return false;
    if (unlinkat(directory_fd, redo_path, 0) != 0)
        return err_errno(err, "remove %s", redo_path);
    return fs_sync_directory(directory_fd, ".holdfast", err);
}
