/* `backend check`: compares what a backend holds with what the oracle knows to be acknowledged. What it holds
 * beyond that is no fault: an answer may have been lost after its commit. */
#include "tests/backend/client.h"
#include "tests/backend/commands.h"
#include "tests/backend/flags.h"
#include "tests/backend/json.h"
#include "tests/backend/oracle.h"
#include "tests/backend/say.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 120000, LINE_MAX_BYTES = 4096, FAULTS_SHOWN = 20 };

struct check {
    struct acknowledgement *entries; /* sorted by id */
    size_t count;
    uint64_t listed, damaged_files;
    bool complete; /* the last line of the list was seen */
};

struct verdict {
    uint64_t lost, allowed, first_lost_ms;
};

const char check_help[] =
    "usage: backend check --url http://HOST:PORT --oracle FILE\n"
    "  --allow-lost-after UNIX_MS   what was acknowledged from then on may be missing\n";

/* The first entry with that id, or where it would be. */
static size_t find_first(const struct check *check, uint64_t id)
{
    size_t low = 0, high = check->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (check->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* After a rollback ids are used again, so the oracle may know one several times; only one of them is still
 * there. */
static void check_write(struct check *check, uint64_t id, const char *sha256)
{
    struct digest digest;

    check->listed++;
    if (!digest_parse(sha256, &digest))
        return;
    for (size_t at = find_first(check, id); at < check->count && check->entries[at].id == id; at++)
        if (digest_equal(&check->entries[at].digest, &digest))
            check->entries[at].found = true;
}

static void check_line(struct check *check, const char *line)
{
    char sha256[DIGEST_TEXT_SIZE], file[64];
    uint64_t id;

    if (json_is_true(line, "end")) {
        check->complete = true;
    } else if (json_text(line, "file", file, sizeof(file))) {
        if (!json_is_true(line, "intact")) {
            complain("file %s is named and not there as named", file);
            check->damaged_files++;
        }
    } else if (json_number(line, "id", &id) && json_text(line, "sha256", sha256, sizeof(sha256))) {
        check_write(check, id, sha256);
    }
}

static bool read_list(struct check *check, struct client *client, struct err *err)
{
    CLEANUP(buf_clearp) struct buf line = BUF_INIT(LINE_MAX_BYTES);
    uint8_t piece[4096];
    unsigned status;
    size_t got;

    if (!client_send(client, "GET", "/list", NULL, &status, err))
        return false;
    if (status != 200)
        return err_set(err, ERR_TRANSIENT, "the list was answered by %u", status);
    do {
        if (!client_read(client, piece, sizeof(piece), &got, err))
            return false;
        for (size_t at = 0; at < got; at++) {
            if (piece[at] != '\n') {
                buf_add(&line, &piece[at], 1);
                continue;
            }
            check_line(check, buf_text(&line));
            buf_reset(&line);
        }
    } while (got > 0);
    return check->complete || err_set(err, ERR_CORRUPT, "the list was cut off");
}

static bool check_integrity(struct client *client, struct err *err)
{
    CLEANUP(buf_clearp) struct buf answer = BUF_INIT(1024 * 1024);
    unsigned status;

    if (!client_ask(client, "GET", "/integrity", NULL, &status, &answer, err))
        return false;
    return status == 200 || err_set(err, ERR_CORRUPT, "integrity: %.900s", buf_text(&answer));
}

static struct verdict judge(const struct check *check, uint64_t allow_after_ms)
{
    struct verdict verdict = {0};

    for (size_t at = 0; at < check->count; at++) {
        const struct acknowledgement *entry = &check->entries[at];
        if (entry->found)
            continue;
        if (entry->unix_ms >= allow_after_ms) {
            verdict.allowed++;
        } else if (verdict.lost++ < FAULTS_SHOWN) {
            complain("write %" PRIu64 ", acknowledged at %" PRIu64 ", is not there", entry->id,
                     entry->unix_ms);
        }
        if (verdict.first_lost_ms == 0 || entry->unix_ms < verdict.first_lost_ms)
            verdict.first_lost_ms = entry->unix_ms;
    }
    return verdict;
}

int check_command(int count, char **arguments)
{
    const char *url, *oracle;
    uint64_t allow_after_ms = UINT64_MAX;
    struct flag flags[] = {
        {.name = "url", .kind = FLAG_TEXT, .target = &url, .required = true},
        {.name = "oracle", .kind = FLAG_TEXT, .target = &oracle, .required = true},
        {.name = "allow-lost-after", .kind = FLAG_NUMBER, .target = &allow_after_ms},
    };
    CLEANUP(client_closep) struct client *client = NULL;
    struct check check = {0};
    struct verdict verdict;
    struct err err;

    (void)signal(SIGPIPE, SIG_IGN);
    if (!flags_parse(flags, sizeof(flags) / sizeof(flags[0]), count, arguments, &err) ||
        !oracle_read(oracle, &check.entries, &check.count, &err) ||
        !client_open(url, TIMEOUT_MS, &client, &err)) {
        complain("%s", err.text);
        return 2;
    }
    if (!read_list(&check, client, &err) || !check_integrity(client, &err)) {
        complain("%s", err.text);
        free(check.entries);
        return 1;
    }
    verdict = judge(&check, allow_after_ms);
    printf("{\"acknowledged\":%zu,\"listed\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"allowed\":%" PRIu64
           ",\"first_lost_ms\":%" PRIu64 ",\"damaged_files\":%" PRIu64 "}\n",
           check.count, check.listed, verdict.lost, verdict.allowed, verdict.first_lost_ms,
           check.damaged_files);
    free(check.entries);
    return verdict.lost || check.damaged_files;
}
