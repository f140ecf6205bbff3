#include "tests/backend/oracle.h"

#include "tests/backend/flags.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ORACLE_MAX (UINT64_C(4) << 30)

bool oracle_open(const char *path, struct oracle *ret_oracle, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        return err_errno(err, "open %s", path);
    *ret_oracle = (struct oracle){.fd = fd};
    pthread_mutex_init(&ret_oracle->mutex, NULL);
    return true;
}

void oracle_close(struct oracle *oracle)
{
    pthread_mutex_destroy(&oracle->mutex);
    (void)close(oracle->fd);
}

bool oracle_note(struct oracle *oracle, uint64_t id, const char *value, struct err *err)
{
    struct digest digest = digest_of(value, strlen(value));
    char sha256[DIGEST_TEXT_SIZE], line[128];
    int size;

    digest_hex(&digest, sha256);
    size =
        snprintf(line, sizeof(line), "%" PRIu64 " %s %" PRIu64 "\n", id, sha256, clock_unix_ns() / NS_PER_MS);
    MUTEX_GUARD(&oracle->mutex);
    return fs_write_all(oracle->fd, line, (size_t)size, err) &&
           (fdatasync(oracle->fd) == 0 || err_errno(err, "sync the oracle"));
}

static bool parse_line(char *line, struct acknowledgement *ret_entry)
{
    struct acknowledgement entry = {0};
    char *sha256 = strchr(line, ' '), *time;

    if (!sha256)
        return false;
    *sha256++ = '\0';
    time = strchr(sha256, ' ');
    if (!time)
        return false;
    *time++ = '\0';
    if (!parse_number(line, &entry.id) || !digest_parse(sha256, &entry.digest) ||
        !parse_number(time, &entry.unix_ms))
        return false;
    *ret_entry = entry;
    return true;
}

static int compare(const void *one, const void *other)
{
    uint64_t left = ((const struct acknowledgement *)one)->id,
             right = ((const struct acknowledgement *)other)->id;

    return (left > right) - (left < right);
}

static size_t count_lines(const struct buf *text)
{
    size_t count = 0;

    for (size_t at = 0; at < text->size; at++)
        count += text->bytes[at] == '\n';
    return count;
}

bool oracle_read(const char *path, struct acknowledgement **ret_entries, size_t *ret_count, struct err *err)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(ORACLE_MAX);
    CLEANUP(freep) struct acknowledgement *entries = NULL;
    size_t lines, count = 0;
    char *line;

    if (!fs_read_file(AT_FDCWD, path, &text, err))
        return false;
    lines = count_lines(&text);
    entries = xcalloc(lines + 1, sizeof(*entries));
    (void)buf_text(&text);
    line = (char *)text.bytes;
    for (; count < lines; count++) {
        char *end = strchr(line, '\n');
        if (!end)
            return err_set(err, ERR_CORRUPT, "%s holds a NUL", path);
        *end = '\0';
        if (!parse_line(line, &entries[count]))
            return err_set(err, ERR_CORRUPT, "line %zu of %s is malformed", count + 1, path);
        line = end + 1;
    }
    qsort(entries, count, sizeof(*entries), compare);
    *ret_entries = MOVE(entries);
    *ret_count = count;
    return true;
}
