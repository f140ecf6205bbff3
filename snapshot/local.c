/* Proof that a disk holds what the log says (protocol.md, H6).
 *
 * A state file that names the newest record proves nothing: the disk may have been set back to an earlier
 * day, state file and all, or a database copied back by hand. Shipping "what it has more" would then take
 * acknowledged commits out of the log. So the pages themselves are asked: a database file with the base's
 * hash is the base, whatever its log has on top; or its log still shows the very frame at which the base was
 * taken. */
#include "snapshot/local.h"

#include "base/clock.h"
#include "base/fs.h"
#include "snapshot/guarded_file.h"
#include "snapshot/pagehash.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool hash_file(int fd, const struct manifest_database *database, bool *ret_same, struct err *err)
{
    CLEANUP(freep) uint8_t *raw = xmalloc(FRAME_RAW_BYTES);
    uint64_t bytes = database->pages * database->page_size;
    uint64_t hash = 0;

    for (uint64_t at = 0; at < bytes; at += FRAME_RAW_BYTES) {
        size_t size = bytes - at < FRAME_RAW_BYTES ? (size_t)(bytes - at) : FRAME_RAW_BYTES;
        if (!fs_read_at(fd, raw, size, at, err))
            return err_wrap(err, "%s", database->path);
        hash ^= pagehash_of(raw, size, database->page_size, at / database->page_size + 1);
    }
    *ret_same = hash == database->rolling_hash;
    return true;
}

/* A log that holds nothing, or none at all. */
static bool has_no_log(int directory_fd, const char *path)
{
    CLEANUP(freep) char *log = xasprintf("%s-wal", path);
    struct stat status;

    return fstatat(directory_fd, log, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_size == 0;
}

static bool compare_one(int directory_fd, const struct manifest_database *database, bool *ret_same,
                        struct err *err)
{
    CLEANUP(guarded_file_closep) int fd = -1;
    struct err why = {0};
    struct stat status;

    *ret_same = false;
    if (!guarded_file_open(directory_fd, database->path, &fd, &why)) {
        if (why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT)
            return true;
        *err = why;
        return false;
    }
    if (fstat(fd, &status) != 0)
        return err_errno(err, "look at %s", database->path);
    if ((uint64_t)status.st_size != database->pages * database->page_size)
        return true;
    return hash_file(fd, database, ret_same, err);
}

bool local_compare(int directory_fd, const struct manifest *manifest, struct local_match *ret_match,
                   struct err *err)
{
    struct local_match match = {.exact = true};

    assert(manifest->databases_count <= DATABASE_FREEZE_MAX);
    for (size_t at = 0; at < manifest->databases_count; at++) {
        if (!compare_one(directory_fd, &manifest->databases[at], &match.matched[at], err))
            return false;
        match.exact =
            match.exact && match.matched[at] && has_no_log(directory_fd, manifest->databases[at].path);
    }
    *ret_match = match;
    return true;
}

static bool files_are_there(int directory_fd, const struct manifest *manifest)
{
    for (size_t at = 0; at < tree_count(manifest->tree); at++) {
        const struct tree_entry *entry = tree_at(manifest->tree, at);
        struct stat status;
        if (entry->kind != ENTRY_FILE)
            continue;
        if (fstatat(directory_fd, tree_path(manifest->tree, entry), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            (uint64_t)status.st_size != entry->size || clock_ns_of(status.st_mtim) != entry->mtime_ns)
            return false;
    }
    return true;
}

/* In the order of trust. */
static bool contains(const struct base_database *attached, bool matched, enum database_proof proof)
{
    return attached && (matched || proof == DATABASE_PROVEN || proof == DATABASE_PROVEN_SAME);
}

static bool prove_one(const struct local_question *question, size_t at, struct local_match *match,
                      enum database_proof *ret_proof, bool *ret_proven, struct err *err)
{
    const char *path = question->manifest->databases[at].path;
    const struct base_database *attached = follower_database(question->follower, path);
    const struct database_mark *mark = state_mark_of(question->point, path);

    *ret_proof = DATABASE_UNPROVEN;
    if (attached && mark && !database_prove(attached->database, mark, ret_proof, err))
        return false;
    *ret_proven = contains(attached, match->matched[at], *ret_proof);
    if (!*ret_proven)
        (void)snprintf(match->doubt, sizeof(match->doubt), "%.200s %s", path,
                       attached ? "may lack commits" : "is missing or can't be followed");
    return true;
}

bool local_prove(const struct local_question *question, struct local_match *match, bool *ret_proven,
                 struct err *err)
{
    const struct manifest *manifest = question->manifest;
    bool same = true, proven = true;
    size_t here = 0;

    for (size_t at = 0; proven && at < manifest->databases_count; at++) {
        enum database_proof proof;
        match->gone[at] = gone_proves(question->gone, question->directory_fd, &manifest->databases[at]);
        if (match->gone[at])
            continue;
        here++;
        if (!prove_one(question, at, match, &proof, &proven, err))
            return false;
        same = same && proof == DATABASE_PROVEN_SAME;
    }
    if (here == 0 && !files_are_there(question->directory_fd, manifest)) {
        proven = false;
        (void)snprintf(match->doubt, sizeof(match->doubt), "its files are others");
    }
    *ret_proven = proven;
    match->exact = match->exact || (*ret_proven && same);
    return true;
}

bool local_identify(int directory_fd, const struct globs *exclude, const struct globs *databases,
                    struct manifest *manifest, struct err *err)
{
    struct scan_options options = {.exclude = exclude, .databases = databases};
    struct scan_result scan = {0};

    /* Nothing is attached yet, so nobody has to be asked. */
    if (!scan_directory(directory_fd, &options, &scan, err))
        return false;
    for (size_t at = 0; at < tree_count(scan.tree); at++) {
        const struct tree_entry *here = tree_at(scan.tree, at);
        struct tree_entry *entry = tree_find(manifest->tree, tree_path(scan.tree, here));
        if (!entry || entry->kind != here->kind || entry->size != here->size ||
            entry->mtime_ns != here->mtime_ns)
            continue;
        entry->inode = here->inode;
        entry->ctime_ns = here->ctime_ns;
    }
    scan_result_clear(&scan);
    return true;
}
