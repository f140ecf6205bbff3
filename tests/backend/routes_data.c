#include "tests/backend/backend.h"

#include "tests/backend/blobs.h"
#include "tests/backend/document.h"
#include "tests/backend/schema.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 200 };

struct write_job {
    struct commit_job job;
    const char *value;
    uint64_t count;
    int64_t first, ts;
};

static void stage_write(struct commit_job *job, struct writer *writer)
{
    struct write_job *write = (struct write_job *)job;

    for (uint64_t at = 0; at < write->count; at++) {
        int64_t number = writer_add_mutation(writer, write->value);
        if (at == 0)
            write->first = number;
    }
    write->ts = writer->last_ts;
}

bool backend_write(struct backend *backend, const char *value, uint64_t count, int64_t *ret_first,
                   int64_t *ret_ts, struct err *err)
{
    struct write_job write = {.job.stage = stage_write, .value = value, .count = count};

    if (!value_is_plain(value, strlen(value)))
        return err_set(err, ERR_CONFIG, "a value is printable ASCII");
    if (!committer_run(backend->committer, &write.job, err))
        return false;
    *ret_first = write.first;
    *ret_ts = write.ts;
    return true;
}

void route_write(struct exchange *exchange)
{
    CLEANUP(buf_clearp) struct buf value = BUF_INIT(VALUE_MAX);
    uint64_t count = 1;
    int64_t first, ts;
    struct err err;

    if (strstr(exchange->query, "n=") &&
        (!query_number_of(exchange, "n", &count) || count == 0 || count > BULK_MAX)) {
        answer_json(exchange, 400, "{\"error\":\"n is 1 to %d\"}", BULK_MAX);
        return;
    }
    if (!exchange_read_whole(exchange, &value))
        return;
    if (memchr(buf_text(&value), '\0', value.size)) {
        answer_json(exchange, 400, "{\"error\":\"a value is printable ASCII\"}");
        return;
    }
    if (backend_write(exchange->context, buf_text(&value), count, &first, &ts, &err))
        answer_json(exchange, 200, "{\"id\":%" PRId64 ",\"n\":%" PRIu64 ",\"ts\":%" PRId64 "}", first, count,
                    ts);
    else if (err.code == ERR_CONFIG)
        answer_json(exchange, 400, "{\"error\":\"%s\"}", err.text);
    else
        answer_error(exchange, &err);
}

void route_read(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    struct index_key key = {0};
    struct entry entry;
    uint64_t number;
    struct err err;

    if (!query_number_of(exchange, "id", &number)) {
        answer_json(exchange, 400, "{\"error\":\"id is a number\"}");
        return;
    }
    key_add_number(&key, number);
    if (!query_entry(backend->persistence, &schema_get()->messages.by_one, &key, &entry, &err)) {
        answer_error(exchange, &err);
        return;
    }
    answer_text(exchange, 200, "text/plain", entry.value, strlen(entry.value));
    entry_clear(&entry);
}

void route_count(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    int64_t writes;
    struct err err;

    if (query_count(backend->persistence, &schema_get()->messages.by_one, &writes, &err))
        answer_json(exchange, 200, "{\"writes\":%" PRId64 "}", writes);
    else
        answer_error(exchange, &err);
}

void route_stats(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    struct index_key last;
    int64_t files;
    struct err err;

    if (!query_count(backend->persistence, &schema_get()->files.by_one, &files, &err) ||
        !query_last_key(backend->persistence, &schema_get()->messages.by_one, &last, &err)) {
        answer_error(exchange, &err);
        return;
    }
    answer_json(exchange, 200, "{\"last_id\":%" PRIu64 ",\"files\":%" PRId64 ",\"commits\":%" PRIu64 "}",
                last.size ? key_number(&last) : 0, files, committer_commits(backend->committer));
}

static bool add_write_line(struct backend *backend, struct buf *lines, const struct entry *entry,
                           struct err *err)
{
    struct digest digest = digest_of(entry->value, strlen(entry->value));
    char sha256[DIGEST_TEXT_SIZE];

    (void)backend;
    (void)err;
    digest_hex(&digest, sha256);
    buf_printf(lines, "{\"id\":%" PRIu64 ",\"sha256\":\"%s\"}\n", key_number(&entry->key), sha256);
    return true;
}

/* Both what the database says and what the disk does. */
static bool add_file_line(struct backend *backend, struct buf *lines, const struct entry *entry,
                          struct err *err)
{
    char sha256[DIGEST_TEXT_SIZE] = "";
    uint64_t size = 0;
    bool exists = blob_digest(backend->files_fd, entry->value, sha256, &size, err);
    bool intact = exists && size == (uint64_t)entry->size && strcmp(sha256, entry->sha256) == 0;

    if (!exists && err->code != ERR_NOT_FOUND)
        return false;
    buf_printf(lines,
               "{\"file\":\"%s\",\"exists\":%s,\"intact\":%s,\"size\":%" PRIu64
               ",\"sha256\":\"%s\",\"named_size\":%" PRId64 ",\"named_sha256\":\"%s\"}\n",
               entry->value, exists ? "true" : "false", intact ? "true" : "false", size, sha256, entry->size,
               entry->sha256);
    return true;
}

/* What an index becomes in the list. */
struct listing {
    const struct ident *index;
    bool (*add_line)(struct backend *backend, struct buf *lines, const struct entry *entry, struct err *err);
};

/* The lines of one page, whose entries are cleared. */
static bool add_page(struct backend *backend, const struct listing *listing, struct entry *entries,
                     size_t count, struct buf *lines, struct err *err)
{
    bool added = true;

    for (size_t at = 0; at < count; at++) {
        added = added && listing->add_line(backend, lines, &entries[at], err);
        entry_clear(&entries[at]);
    }
    return added && buf_check(lines, "a page of the list", err);
}

static bool send_listing(struct exchange *exchange, const struct listing *listing, uint64_t *ret_count,
                         struct err *err)
{
    struct backend *backend = exchange->context;
    CLEANUP(buf_clearp) struct buf lines = BUF_INIT(PAGE * 512);
    CLEANUP(freep) struct entry *entries = xcalloc(PAGE, sizeof(*entries));
    struct index_key after = {0};
    uint64_t total = 0;
    size_t found;

    do {
        if (!query_page(backend->persistence, listing->index, &after, entries, PAGE, &found, err))
            return false;
        if (found > 0)
            after = entries[found - 1].key;
        buf_reset(&lines);
        if (!add_page(backend, listing, entries, found, &lines, err))
            return false;
        if (!answer_write(exchange, lines.bytes, lines.size))
            return err_set(err, ERR_TRANSIENT, "the client is gone");
        total += found;
    } while (found == PAGE);
    *ret_count = total;
    return true;
}

/* A line of JSON for each; the last one says that nothing is missing. On an error the answer is cut off. */
void route_list(struct exchange *exchange)
{
    const struct listing messages = {&schema_get()->messages.by_one, add_write_line};
    const struct listing blobs = {&schema_get()->files.by_one, add_file_line};
    uint64_t writes, files;
    char last[128];
    struct err err;

    if (!answer_begin(exchange, 200, "application/x-ndjson", HTTP_UNKNOWN_LENGTH, ""))
        return;
    if (!send_listing(exchange, &messages, &writes, &err) || !send_listing(exchange, &blobs, &files, &err)) {
        exchange->closes = true;
        return;
    }
    (void)snprintf(last, sizeof(last), "{\"end\":true,\"writes\":%" PRIu64 ",\"files\":%" PRIu64 "}\n",
                   writes, files);
    if (answer_write(exchange, last, strlen(last)))
        (void)!answer_end(exchange);
}

static bool check_files(struct backend *backend, struct buf *report, struct err *err)
{
    struct index_key after = {0};
    struct entry entry;
    size_t found;

    for (;;) {
        CLEANUP(close_fdp) int fd = -1;
        uint64_t size;
        if (!query_page(backend->persistence, &schema_get()->files.by_one, &after, &entry, 1, &found, err))
            return false;
        if (found == 0)
            return true;
        if (!blob_open(backend->files_fd, entry.value, &fd, &size, err))
            buf_printf(report, "file %s: %s\n", entry.value, err->text);
        else if (size != (uint64_t)entry.size)
            buf_printf(report, "file %s has %" PRIu64 " bytes instead of %" PRId64 "\n", entry.value, size,
                       entry.size);
        after = entry.key;
        entry_clear(&entry);
    }
}

void route_integrity(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    CLEANUP(buf_clearp) struct buf report = BUF_INIT(1024 * 1024);
    struct err err;

    if (!query_integrity(backend->persistence, &report, &err) || !check_files(backend, &report, &err)) {
        answer_error(exchange, &err);
        return;
    }
    if (report.size == 0)
        answer_text(exchange, 200, "text/plain", "ok\n", 3);
    else
        answer_text(exchange, 500, "text/plain", buf_text(&report), report.size);
}

void route_hold(struct exchange *exchange)
{
    struct backend *backend = exchange->context;
    uint64_t hold_ms;
    struct err err;

    if (!query_number_of(exchange, "ms", &hold_ms) || hold_ms > 600000)
        answer_json(exchange, 400, "{\"error\":\"ms is a number\"}");
    else if (persistence_hold(backend->persistence, (unsigned)hold_ms, &err))
        answer_json(exchange, 200, "{\"held_ms\":%" PRIu64 "}", hold_ms);
    else
        answer_error(exchange, &err);
}
