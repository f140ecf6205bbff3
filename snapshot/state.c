/* The state file and the folder that it lies in: what it says is in state.h, its bytes are in state_form.c.
 */
#include "snapshot/state.h"

#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char state_path[] = ".holdfast/state";
static const char lock_path[] = ".holdfast/lock";

enum { LOCK_ATTEMPTS = 5 };

void state_init(struct state *state)
{
    *state = (struct state){0};
}

void state_point_clear(struct state_point *point)
{
    for (size_t at = 0; at < point->databases_count; at++)
        free(point->databases[at].path);
    free(point->databases);
    *point = (struct state_point){0};
}

struct database_mark *state_mark_of(const struct state_point *point, const char *path)
{
    for (size_t at = 0; at < point->databases_count; at++)
        if (strcmp(point->databases[at].path, path) == 0)
            return &point->databases[at].mark;
    return NULL;
}

void state_clear(struct state *state)
{
    state_point_clear(&state->shipped);
    state_point_clear(&state->sending);
    gone_clear(&state->gone);
}

bool state_save(int directory_fd, const struct state *state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);

    state_encode(state, &bytes);
    if (!buf_check(&bytes, state_path, err) ||
        !fs_replace_file(directory_fd, state_path, bytes.bytes, bytes.size, 0600, err))
        return err_wrap(err, "remember the position in HOLDFAST_DATA_DIR");
    return true;
}

bool state_load(int directory_fd, struct state *ret_state, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(STATE_SIZE_MAX);

    return fs_read_file(directory_fd, state_path, &bytes, err) &&
           (state_decode(bytes.bytes, bytes.size, ret_state, err) || err_wrap(err, "%s", state_path));
}

static bool make_folder(int directory_fd, bool *ret_made, struct err *err)
{
    bool made = mkdirat(directory_fd, ".holdfast", 0700) == 0;

    if (!made && errno != EEXIST) {
        (void)err_errno(err, "HOLDFAST_DATA_DIR can't be written");
        err->code = ERR_CONFIG;
        return err_wrap(err, "make it writable for this user, or mount it read-write");
    }
    *ret_made = made;
    return true;
}

static bool take_lock(int directory_fd, int *ret_lock_fd, struct err *err)
{
    CLEANUP(close_fdp) int fd = -1;

    if (!fs_open_beneath(directory_fd, lock_path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &fd, err)) {
        err->code = ERR_CONFIG;
        return err_wrap(err, "HOLDFAST_DATA_DIR can't be written; make it writable for this user");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_CONFIG,
                           "HOLDFAST_DATA_DIR is in use by another holdfast on this machine; stop it or give "
                           "this one a directory of its own");
        return err_errno(err, "lock %s", lock_path);
    }
    *ret_lock_fd = MOVE_FD(fd);
    return true;
}

/* A start that is refused removes the folder: its lock, opened before that, would guard nothing. */
static bool is_removed(int lock_fd)
{
    struct stat status;

    return fstat(lock_fd, &status) == 0 && status.st_nlink == 0;
}

bool state_lock(int directory_fd, bool *ret_made, int *ret_lock_fd, struct err *err)
{
    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        CLEANUP(close_fdp) int fd = -1;
        bool made = false;
        if (!make_folder(directory_fd, &made, err))
            return false;
        if (!take_lock(directory_fd, &fd, err)) {
            if (made)
                (void)unlinkat(directory_fd, ".holdfast", AT_REMOVEDIR);
            return false;
        }
        if (is_removed(fd))
            continue;
        *ret_made = made;
        *ret_lock_fd = MOVE_FD(fd);
        return true;
    }
    return err_set(err, ERR_CONFIG, "HOLDFAST_DATA_DIR is in use by other starts on this machine; stop them");
}

void state_remove_folder(int directory_fd)
{
    if (faccessat(directory_fd, state_path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    (void)unlinkat(directory_fd, lock_path, 0);
    (void)unlinkat(directory_fd, ".holdfast", AT_REMOVEDIR);
}
