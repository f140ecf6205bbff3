#include "tests/double/replica.h"

#include "base/fs.h"
#include "snapshot/blob.h"
#include "snapshot/data_body.h"
#include "snapshot/key.h"
#include "tests/double/scanning.h"

#include <fcntl.h>

static bool complain(const char *what, const char *path)
{
    printf("# %s: %s\n", what, path);
    return false;
}

static bool write_pieces(int fd, struct store *store, const struct tree *tree, const struct tree_entry *entry)
{
    const struct tree_piece *pieces = tree_pieces(tree, entry);
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    struct err err;

    for (uint32_t at = 0; at < entry->extra; at++) {
        CLEANUP(buf_clearp) struct buf object = BUF_INIT(BLOB_SIZE_MAX);
        CLEANUP(buf_clearp) struct buf raw = BUF_INIT(BLOB_RAW_MAX);
        struct key key;
        if (pieces[at].tag == 0)
            continue;
        key = key_blob(pieces[at].tag, &pieces[at].content);
        if (!store_get(store, key.text, &object, &err) ||
            !blob_decode(codec, &object, &pieces[at].content, pieces[at].raw_bytes, &raw, &err) ||
            !fs_write_at(fd, raw.bytes, raw.size, (uint64_t)at * TREE_PIECE_SIZE, &err))
            return complain(err.text, key.text);
    }
    return true;
}

static bool write_inline(int fd, const struct data_put *put)
{
    CLEANUP(codec_freep) struct codec *codec = codec_new();
    CLEANUP(freep) uint8_t *raw = xmalloc(put->entry->size);
    struct err err;

    if (codec_decompress(codec, put->frame, put->frame_size, raw, put->entry->size, &err) &&
        fs_write_at(fd, raw, put->entry->size, 0, &err))
        return true;
    return complain(err.text, "inline content");
}

/* A file may outlive its directory in a record: that was never shipped, and is gone. */
static bool make_parents(int directory_fd, const char *path)
{
    CLEANUP(freep) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');
    struct err err;

    if (!slash)
        return true;
    *slash = '\0';
    return fs_make_directories(directory_fd, parent, 0755, &err) || complain(err.text, path);
}

static bool put_file(int directory_fd, struct store *store, const struct data_put *put, const char *path)
{
    CLEANUP(close_fdp) int fd = -1;
    const struct tree_entry *entry = put->entry;

    if (!make_parents(directory_fd, path))
        return false;
    (void)unlinkat(directory_fd, path, 0);
    fd = openat(directory_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)entry->size) != 0)
        return complain("can't be put", path);
    if (entry->content == CONTENT_PIECES)
        return write_pieces(fd, store, put->tree, entry);
    return entry->content == CONTENT_NONE || write_inline(fd, put);
}

static bool put_content(int directory_fd, struct store *store, const struct data_put *put, const char *path)
{
    struct stat status;

    switch ((enum entry_kind)put->entry->kind) {
    case ENTRY_FILE:
        return put_file(directory_fd, store, put, path);
    case ENTRY_SYMLINK:
        (void)unlinkat(directory_fd, path, 0);
        if (symlinkat(tree_target(put->tree, put->entry), directory_fd, path) == 0)
            return true;
        return complain("can't be put", path);
    case ENTRY_DIRECTORY:
        if (fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
            return true;
        (void)unlinkat(directory_fd, path, 0);
        if (mkdirat(directory_fd, path, 0700) == 0)
            return true;
        return complain("can't be put", path);
    }
    return complain("of no kind", path);
}

static bool put(int directory_fd, struct store *store, const struct data_put *put)
{
    const char *path = tree_path(put->tree, put->entry);
    int64_t mtime_ns = put->entry->mtime_ns, second = 1000000000;
    int64_t fraction = (mtime_ns % second + second) % second; /* before 1970 too */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = (mtime_ns - fraction) / second, .tv_nsec = fraction}};

    if (!put_content(directory_fd, store, put, path))
        return false;
    if (put->entry->kind != ENTRY_SYMLINK && fchmodat(directory_fd, path, put->entry->mode, 0) != 0)
        return complain("no such mode", path);
    return utimensat(directory_fd, path, times, AT_SYMLINK_NOFOLLOW) == 0 || complain("no such time", path);
}

static bool apply_section(int directory_fd, struct store *store, const struct data_section *section)
{
    struct stat status;
    struct err err;

    if (section->kind == DATA_PUT)
        return put(directory_fd, store, &section->put);
    if (section->kind != DATA_GONE)
        return section->kind == DATA_DROPPED || complain("unexpected", "section");
    if (fstatat(directory_fd, section->gone, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return complain("was not there", section->gone);
    return fs_remove_tree(directory_fd, section->gone, &err) || complain(err.text, section->gone);
}

bool replica_apply(int directory_fd, struct store *store, const void *sections, size_t size)
{
    CLEANUP(data_reader_freep) struct data_reader *reader = data_reader_new(sections, size);
    struct data_section section;
    bool end = false;
    struct err err;

    while (data_next(reader, &section, &end, &err)) {
        if (end)
            return true;
        if (!apply_section(directory_fd, store, &section))
            return false;
    }
    return complain(err.text, "sections");
}

static struct tree *tree_of(int directory_fd)
{
    CLEANUP(scan_result_clearp) struct scan_result result = {0};
    struct err err;

    if (!scan(directory_fd, "", "", &result, &err)) {
        (void)complain(err.text, "scan");
        abort();
    }
    return MOVE(result.tree);
}

static bool same_content(int one_fd, int other_fd, const char *path)
{
    CLEANUP(buf_clearp) struct buf one = BUF_INIT(1 << 28);
    CLEANUP(buf_clearp) struct buf other = BUF_INIT(1 << 28);
    struct err err;

    if (!fs_read_file(one_fd, path, &one, &err) || !fs_read_file(other_fd, path, &other, &err))
        return complain(err.text, path);
    return one.size == other.size && (one.size == 0 || memcmp(one.bytes, other.bytes, one.size) == 0);
}

static bool same_entry(const struct tree_entry *one, const struct tree_entry *other)
{
    if (one->kind != other->kind || one->mode != other->mode || one->uid != other->uid ||
        one->gid != other->gid)
        return false;
    return one->kind == ENTRY_DIRECTORY || (one->mtime_ns == other->mtime_ns && one->size == other->size);
}

bool replica_equals(int found_fd, int wanted_fd, bool (*is_extra)(void *context, const char *path),
                    void *context)
{
    CLEANUP(tree_freep) struct tree *found = tree_of(found_fd);
    CLEANUP(tree_freep) struct tree *wanted = tree_of(wanted_fd);

    for (size_t at = 0; at < tree_count(wanted); at++) {
        const struct tree_entry *entry = tree_at(wanted, at);
        const char *path = tree_path(wanted, entry);
        const struct tree_entry *copy = tree_find(found, path);
        if (!copy || !same_entry(copy, entry))
            return complain(copy ? "is different" : "is missing", path);
        if (entry->kind == ENTRY_FILE && !same_content(found_fd, wanted_fd, path))
            return complain("has another content", path);
        if (entry->kind == ENTRY_SYMLINK && strcmp(tree_target(found, copy), tree_target(wanted, entry)) != 0)
            return complain("has another target", path);
    }
    for (size_t at = 0; at < tree_count(found); at++) {
        const char *path = tree_path(found, tree_at(found, at));
        if (!tree_find(wanted, path) && (!is_extra || !is_extra(context, path)))
            return complain("should not be there", path);
    }
    return true;
}

bool replica_is_listed(int directory_fd, struct tree *tree)
{
    CLEANUP(tree_freep) struct tree *found = tree_of(directory_fd);

    for (size_t at = 0; at < tree_count(found); at++) {
        const char *path = tree_path(found, tree_at(found, at));
        const struct tree_entry *entry = tree_find(tree, path);
        if (!entry || !same_entry(entry, tree_at(found, at)))
            return complain(entry ? "is listed differently" : "is not listed", path);
    }
    if (tree_count(found) != tree_count(tree))
        return complain("lists what is not there", "the tree");
    return true;
}
