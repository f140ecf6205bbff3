#include "tests/backend/backend.h"

#include "tests/backend/blobs.h"
#include "tests/backend/flags.h"
#include "tests/backend/hooks.h"
#include "tests/backend/schema.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct file_job {
    struct commit_job job;
    const struct blob *blob;  /* to name, or */
    const struct entry *gone; /* to forget */
};

static void stage_file(struct commit_job *job, struct writer *writer)
{
    struct file_job *file = (struct file_job *)job;

    if (file->blob)
        writer_add_file(writer, file->blob->name, file->blob->sha256, file->blob->size);
    else
        writer_remove_file(writer, file->gone);
}

/* Everything up to the fsync; false when the client went away or the disk failed (then *err says so). */
static bool receive_blob(struct exchange *exchange, struct blob *blob, struct err *err)
{
    struct backend *backend = exchange->context;
    uint8_t piece[32 * 1024];
    struct random random;
    size_t got;

    random_seed_anew(&random);
    if (!blob_create(backend->files_fd, &random, blob, err))
        return false;
    do {
        if (!exchange_read(exchange, piece, sizeof(piece), &got))
            return err_set(err, ERR_CORRUPT, "the upload was cut off");
        if (!blob_append(blob, piece, got, err))
            return false;
        if (got > 0)
            hook_reach(HOOK_UPLOAD_STARTED);
    } while (got > 0);
    return blob_complete(blob, err);
}

void route_upload(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    struct blob blob = {0};
    struct file_job file = {.job.stage = stage_file, .blob = &blob};
    struct err err;
    bool stored = receive_blob(exchange, &blob, &err);

    if (stored) {
        hook_reach(HOOK_UPLOAD_SYNCED);
        stored = committer_run(backend->committer, &file.job, &err);
    }
    blob_close(&blob);
    if (stored)
        answer_json(exchange, 200, "{\"file\":\"%s\",\"sha256\":\"%s\",\"size\":%" PRIu64 "}", blob.name,
                    blob.sha256, blob.size);
    else
        answer_error(exchange, &err);
}

/* `bytes=A-B`, `bytes=A-`, `bytes=-N`. Anything else, several ranges too, is ignored: the whole file then. */
static bool parse_range(const char *text, uint64_t size, uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t from = 0, to = 0;
    bool has_from, has_to;

    if (!text || strncmp(text, "bytes=", 6) != 0)
        return false;
    text += 6;
    has_from = take_number(&text, &from);
    if (*text++ != '-')
        return false;
    has_to = take_number(&text, &to);
    if (*text || (!has_from && !has_to))
        return false;
    *ret_from = has_from ? from : to < size ? size - to : 0;
    *ret_to = has_from && has_to && to < size ? to + 1 : size;
    return true;
}

static void send_blob(struct exchange *exchange, int fd, uint64_t from, uint64_t to)
{
    uint8_t piece[32 * 1024];
    struct err err;

    while (from < to && !exchange->without_body) {
        size_t wanted = to - from < sizeof(piece) ? (size_t)(to - from) : sizeof(piece);
        if (!fs_read_at(fd, piece, wanted, from, &err) || !answer_write(exchange, piece, wanted)) {
            exchange->closes = true;
            return;
        }
        from += wanted;
    }
}

void route_download(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    CLEANUP(close_fdp) int fd = -1;
    char name[64], headers[128];
    uint64_t size, from = 0, to;
    bool partial;
    struct err err = {.code = ERR_NOT_FOUND, .text = "no such file"};

    if (!query_text_of(exchange, "file", name, sizeof(name)) ||
        !blob_open(backend->files_fd, name, &fd, &size, &err)) {
        answer_error(exchange, &err);
        return;
    }
    to = size;
    partial = parse_range(head_value(&exchange->head, "Range"), size, &from, &to);
    if (partial && from >= to) {
        answer_json(exchange, 416, "{\"error\":\"the file has %" PRIu64 " bytes\"}", size);
        return;
    }
    (void)snprintf(headers, sizeof(headers), "Accept-Ranges: bytes\r\n");
    if (partial)
        (void)snprintf(headers, sizeof(headers),
                       "Accept-Ranges: bytes\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                       from, to - 1, size);
    if (answer_begin(exchange, partial ? 206 : 200, "application/octet-stream", to - from, headers))
        send_blob(exchange, fd, from, to);
}

/* The file first, the document after it: the order in which Convex cleans up exports (facts/convex.md 1.3),
 * and the reason why a restore must not lack a file that is still named. */
void route_delete(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    struct index_key key = {0};
    struct entry entry;
    struct file_job file = {.job.stage = stage_file, .gone = &entry};
    char name[64];
    struct err err = {.code = ERR_NOT_FOUND, .text = "no such file"};

    if (!query_text_of(exchange, "file", name, sizeof(name)) || strlen(name) >= INDEX_KEY_MAX) {
        answer_error(exchange, &err);
        return;
    }
    key_add(&key, name, strlen(name));
    if (!query_entry(backend->persistence, &schema_get()->files.by_one, &key, &entry, &err)) {
        answer_error(exchange, &err);
        return;
    }
    if (!blob_unlink(backend->files_fd, name, &err)) {
        answer_error(exchange, &err);
    } else {
        hook_reach(HOOK_FILE_UNLINKED);
        if (committer_run(backend->committer, &file.job, &err))
            answer_json(exchange, 200, "{\"file\":\"%s\"}", name);
        else
            answer_error(exchange, &err);
    }
    entry_clear(&entry);
}
