#include "tests/backend/credentials.h"

#include "tests/backend/random.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <fcntl.h>
#include <string.h>

enum { CREDENTIAL_MAX = 4096 };

static void add_new(struct buf *value, const char *prefix, size_t bytes)
{
    struct random random;

    random_seed_anew(&random);
    buf_add_text(value, prefix);
    while (bytes-- > 0)
        buf_printf(value, "%02x", (unsigned)random_below(&random, 256));
}

/* `value=${VARIABLE:-$(cat file || make one)}`: an empty file counts. */
static bool find_value(int fd, const char *file, const char *variable, struct buf *value, struct err *err)
{
    const char *given = getenv(variable);
    char *end;

    if (given && given[0]) {
        buf_add_text(value, given);
        return true;
    }
    if (!fs_read_file(fd, file, value, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        add_new(value, strcmp(file, "instance_name") == 0 ? "sample-" : "",
                strcmp(file, "instance_name") == 0 ? 4 : 32);
        return true;
    }
    end = value->size > 0 ? memchr(value->bytes, '\n', value->size) : NULL;
    if (end)
        value->size = (size_t)(end - (char *)value->bytes);
    return value->size > 0 || err_set(err, ERR_CONFIG, "credentials/%s is empty", file);
}

/* Truncated and written in place, as the shell's `>` does. */
static bool refresh(int fd, const char *file, const char *variable, struct err *err)
{
    CLEANUP(buf_clearp) struct buf value = BUF_INIT(CREDENTIAL_MAX);
    CLEANUP(close_fdp) int file_fd = -1;

    if (!find_value(fd, file, variable, &value, err))
        return false;
    buf_add_text(&value, "\n");
    file_fd = openat(fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file_fd < 0)
        return err_errno(err, "open credentials/%s", file);
    return fs_write_all(file_fd, value.bytes, value.size, err);
}

bool credentials_refresh(const char *data, struct err *err)
{
    CLEANUP(close_fdp) int data_fd = -1, fd = -1;

    if (!fs_open_directory(AT_FDCWD, data, &data_fd, err) ||
        !fs_make_directories(data_fd, "credentials", 0755, err) ||
        !fs_open_directory(data_fd, "credentials", &fd, err))
        return false;
    return refresh(fd, "instance_name", "INSTANCE_NAME", err) &&
           refresh(fd, "instance_secret", "INSTANCE_SECRET", err);
}
