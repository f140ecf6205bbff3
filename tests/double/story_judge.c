#include "tests/double/story_internal.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/walk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool differs(const char *path, const char *what)
{
    printf("#   %s: %s\n", path, what);
    return false;
}

static bool content_matches(int directory_fd, const char *path, const uint8_t *bytes, size_t size)
{
    CLEANUP(buf_clearp) struct buf content = BUF_INIT(64 << 20);
    struct err err = {0};

    return fs_read_file(directory_fd, path, &content, &err) && content.size == size &&
           (size == 0 || memcmp(content.bytes, bytes, size) == 0);
}

static bool file_matches(int directory_fd, int index, const struct story_file *file)
{
    const char *path = story_file_path(index);
    static const mode_t types[] = {0, S_IFREG, S_IFDIR, S_IFLNK};
    char target[64] = "";
    struct stat status;

    if (fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return file->kind == 0 || differs(path, "it is missing");
    if (file->kind == 0)
        return differs(path, "it should be gone");
    if ((status.st_mode & S_IFMT) != types[file->kind] || (status.st_mode & 07777) != file->mode)
        return differs(path, "it has another kind or mode");
    if (clock_ns_of(status.st_mtim) != file->mtime_ns)
        return differs(path, "it has another mtime");
    if (file->kind == ENTRY_SYMLINK)
        return readlinkat(directory_fd, path, target, sizeof(target) - 1) == (ssize_t)file->size &&
               memcmp(target, file->bytes, file->size) == 0;
    return file->kind == ENTRY_DIRECTORY || content_matches(directory_fd, path, file->bytes, file->size) ||
           differs(path, "it has another content");
}

static bool database_matches(int directory_fd, int index, const struct story_database *database)
{
    const char *path = story_database_path(index);
    struct stat status;

    if (database->incarnation == 0)
        return fstatat(directory_fd, path, &status, 0) != 0 || differs(path, "it should be gone");
    return content_matches(directory_fd, path, database->bytes, story_database_bytes(database)) ||
           differs(path, "it has other pages");
}

/* Everything that is not one of the paths, and no directory that leads to one. */
static bool has_strangers(int directory_fd)
{
    CLEANUP(walk_clearp) struct walk walk = {0};
    struct err err = {0};
    bool found = false;

    walk_begin(&walk, directory_fd);
    while (walk_next(&walk, &err)) {
        story_must(walk_list(&walk, &err), &err);
        for (size_t at = 0; at < walk.count; at++) {
            const char *path = walk_join(&walk, walk_name(&walk, at));
            bool known = strcmp(path, "dbs") == 0 || strcmp(path, ".holdfast") == 0;
            for (int file = 0; file < STORY_FILES; file++)
                known = known || strcmp(path, story_file_path(file)) == 0;
            for (int database = 0; database < STORY_DATABASES; database++)
                known = known || strcmp(path, story_database_path(database)) == 0;
            if (!known)
                found = !differs(path, "nobody knows it");
            if (strcmp(path, ".holdfast") != 0 && walk_is_directory(&walk, at))
                walk_enter(&walk, path);
        }
    }
    return found;
}

bool story_matches(struct story *story, uint64_t position, int directory_fd)
{
    const struct story_state *state = &story->after[position];
    bool matches = !has_strangers(directory_fd);

    for (int at = 0; at < STORY_FILES; at++)
        matches = file_matches(directory_fd, at, &state->files[at]) && matches;
    for (int at = 0; at < STORY_DATABASES; at++)
        matches = database_matches(directory_fd, at, &state->databases[at]) && matches;
    if (!matches)
        printf("#   at record %llu\n", (unsigned long long)position);
    return matches;
}

static bool entry_matches(struct manifest *manifest, int index, const struct story_file *file)
{
    const char *path = story_file_path(index);
    const struct tree_entry *entry = tree_find(manifest->tree, path);

    if (file->kind == 0 || !entry)
        return (file->kind == 0 && !entry) || differs(path, "listed or not");
    if (entry->kind != (uint8_t)file->kind || entry->mode != file->mode || entry->mtime_ns != file->mtime_ns)
        return differs(path, "described as something else");
    if (file->kind == ENTRY_SYMLINK)
        return strcmp(tree_target(manifest->tree, entry), (const char *)file->bytes) == 0;
    if (file->kind == ENTRY_DIRECTORY)
        return true;
    if (entry->size != file->size || (file->pieces_count > 0) != (entry->content == CONTENT_PIECES))
        return differs(path, "described with another size");
    return file->pieces_count == 0 ||
           digest_equal(&tree_pieces(manifest->tree, entry)->content, &file->pieces[0].content) ||
           differs(path, "described with another content");
}

bool story_describes(struct story *story, uint64_t position, struct manifest *manifest)
{
    const struct story_state *state = &story->after[position];
    size_t listed = 0, files = 0;
    bool matches = true;

    for (int at = 0; at < STORY_FILES; at++) {
        matches = entry_matches(manifest, at, &state->files[at]) && matches;
        files += state->files[at].kind != 0;
    }
    for (int at = 0; at < STORY_DATABASES; at++) {
        const struct story_database *database = &state->databases[at];
        if (database->incarnation == 0)
            continue;
        if (listed == manifest->databases_count ||
            strcmp(manifest->databases[listed].path, story_database_path(at)) != 0 ||
            manifest->databases[listed].incarnation != database->incarnation ||
            manifest->databases[listed].pages != database->pages ||
            manifest->databases[listed].page_size != database->page_size ||
            manifest->databases[listed].rolling_hash != story_hash(database))
            matches = differs(story_database_path(at), "described otherwise");
        listed++;
    }
    if (listed != manifest->databases_count || files != tree_count(manifest->tree))
        matches = differs("manifest", "it lists something else");
    if (!matches)
        printf("#   as described at record %llu\n", (unsigned long long)position);
    return matches;
}
