/* Taking over.
 *
 * One PUT makes a claimant the owner, but not every PUT that succeeds does: a claimant that stalled between
 * LIST and PUT may put its open into a hole that packing left behind, and believe that it owns a log that has
 * long moved on (protocol.md, H2). So an open counts only when a LIST that was begun after the PUT shows it
 * as the newest record; since the newest record is never deleted, a stale claimant always finds something
 * newer. A record at our position + 1 tells the rest: if it names our open as the one before it, another took
 * over from us; if not, ours is in a hole and void. */
#include "snapshot/start.h"

#include "base/clock.h"
#include "snapshot/archive.h"
#include "snapshot/survey.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_POLL_MS = 250 };

void start_init(struct start *start)
{
    struct id none = {{0}};

    log_init(&start->log, start->config->store, start->store, &none);
    manifest_init(&start->manifest);
    start->prefetched = (struct buf)BUF_INIT(MANIFEST_SIZE_MAX);
}

static bool fetch_manifest(void *context, struct err *err)
{
    struct start *start = context;

    return store_get(start->store, start->prefetched_key.text, &start->prefetched, err);
}

void start_prefetch_manifest(struct start *start)
{
    if (start->prefetching || start->has_manifest || start->log.newest.base.announced == 0)
        return;
    start->prefetched_key = start->log.newest.base.key;
    start->prefetching = true;
    group_init(&start->prefetch, start->pool, 1);
    group_submit(&start->prefetch, fetch_manifest, start);
}

/* What went wrong is found again by whoever needs the manifest. */
static void end_prefetch(struct start *start)
{
    struct err ignored = {0};

    if (start->prefetching)
        (void)!group_wait(&start->prefetch, &ignored);
    start->prefetching = false;
}

void start_clear(struct start *start)
{
    end_prefetch(start);
    buf_clear(&start->prefetched);
    chain_listing_clear(&start->listing);
    log_clear(&start->log);
    manifest_clear(&start->manifest);
    start->goal.position = 0;
}

bool survey_take_manifest(struct start *start, const struct buf *bytes, struct err *err)
{
    const struct base_reference *base = &start_goal_header(start)->base;
    struct manifest manifest;
    struct digest hash;

    if (bytes->size < HASH_SIZE)
        return err_set(err, ERR_CORRUPT, "%s is cut off", base->key.text);
    memcpy(hash.bytes, bytes->bytes + bytes->size - HASH_SIZE, HASH_SIZE);
    if (memcmp(hash.bytes, base->manifest.bytes, HASH_SIZE) != 0)
        return err_set(err, ERR_CORRUPT, "%s is not the manifest that the log announced", base->key.text);
    if (!manifest_decode(bytes->bytes, bytes->size, &manifest, err))
        return err_wrap(err, "%s", base->key.text);
    if (!id_equal(&manifest.lineage, &start->lineage) || manifest.position != base->position) {
        manifest_clear(&manifest);
        return err_set(err, ERR_CORRUPT, "%s belongs to another lineage or position than the log says",
                       base->key.text);
    }
    manifest_clear(&start->manifest);
    start->manifest = manifest;
    start->has_manifest = true;
    return true;
}

void start_forget_manifest(struct start *start)
{
    manifest_clear(&start->manifest);
    start->has_manifest = false;
}

bool start_load_manifest(struct start *start, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(MANIFEST_SIZE_MAX);
    const struct base_reference *base = &start_goal_header(start)->base;

    if (base->announced == 0)
        return err_set(err, ERR_NOT_FOUND, "no base is announced");
    if (start->has_manifest && start->manifest.position == base->position)
        return true;
    end_prefetch(start);
    if (start->prefetched.size > 0 && strcmp(start->prefetched_key.text, base->key.text) == 0)
        return survey_take_manifest(start, &start->prefetched, err);
    if (!store_get(start->store, base->key.text, &bytes, err)) {
        /* What the head names is never pruned, nor what a record from the horizon on does. */
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_CORRUPT;
        return err_wrap(err, "the base is unreadable");
    }
    return survey_take_manifest(start, &bytes, err);
}

static bool visit_newest(void *context, const struct store_entry *entry, struct err *err)
{
    uint64_t *newest = context;

    if (!key_parse_log(entry->key, newest))
        return err_set(err, ERR_CORRUPT, "%s is not a record of holdfast", entry->key);
    return true;
}

static bool list_newest(struct start *start, uint64_t *ret_newest, struct err *err)
{
    uint64_t newest = 0;

    if (!store_list(start->store, "log/", NULL, 1, visit_newest, &newest, err))
        return err_wrap(err, "look for the newest record");
    *ret_newest = newest;
    return true;
}

static bool wait_for_handover(struct start *start, uint64_t *newest, struct err *err)
{
    const struct record_header *head = &start->log.newest;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = now_ms + patience_handover_ms(&start->patience, start->config, head,
                                                      store_unix_ns(start->store), now_ms);

    while (*newest == head->position && clock_monotonic_ms() < until_ms) {
        start->step(start->context, "waiting for the container before this one to finish");
        if (!clock_pause(WAIT_POLL_MS, start->canceled))
            return err_set(err, ERR_CANCELED, "stopped while waiting for the predecessor");
        if (!list_newest(start, newest, err))
            return false;
    }
    return true;
}

/* The owner before us ran on this disk, whose lock we hold: so it is gone. */
static bool predecessor_is_gone(const struct start *start)
{
    const struct record_header *remembered = start->remembered;

    return start->config->predecessor == PREDECESSOR_GONE ||
           (remembered && remembered->epoch == start->log.newest.epoch &&
            id_equal(&remembered->owner, &start->log.newest.owner));
}

/* Opens without a close in the last minutes, as many as matter. The head tells of four; what stood right
 * before the oldest known owner's open tells of those before it. Where that is no longer there counting ends.
 */
static bool count_opens(struct start *start, unsigned *ret_opens, struct err *err)
{
    CLEANUP(archive_clear) struct archive archive = archive_of(start->store, &start->lineage);
    struct record_header header = start->log.newest;
    uint64_t now_ns = store_unix_ns(start->store);
    unsigned before = 0, opens = patience_opens(&header, now_ns);

    while (opens == before + RECORD_OPENS && header.epoch > 1 &&
           patience_duel_ms(opens, start->config->duel_wait_ms) < start->config->duel_wait_ms) {
        struct record record;
        struct err why = {0};
        if (!archive_read(&archive, header.epoch - 1, &record, &why)) {
            if (why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT)
                break;
            *err = why;
            return false;
        }
        header = record.header;
        before++;
        opens = before + patience_opens(&header, now_ns);
    }
    *ret_opens = opens;
    return true;
}

static bool wait_in_duel(struct start *start, uint64_t *newest, struct err *err)
{
    char text[256];
    unsigned opens = 0;
    uint64_t wait_ms;

    if (start->patience.dueled || start->config->duel_wait_ms == 0 || predecessor_is_gone(start))
        return true;
    if (!count_opens(start, &opens, err))
        return false;
    wait_ms = patience_duel_ms(opens, start->config->duel_wait_ms);
    if (wait_ms == 0)
        return true;
    start->patience.dueled = true;
    (void)snprintf(text, sizeof(text),
                   "two containers share this prefix, or one crashes in a loop: %u have opened it within 10 "
                   "minutes and none has closed it; waiting %.3g s before taking over",
                   opens, (double)wait_ms / 1000);
    start->warn(start->context, text);
    start->step(start->context, "waiting, since two containers share this prefix or one crashes in a loop");
    if (!clock_pause(wait_ms, start->canceled))
        return err_set(err, ERR_CANCELED, "stopped while waiting before the takeover");
    return list_newest(start, newest, err);
}

bool start_wait(struct start *start, bool *ret_moved, struct err *err)
{
    uint64_t newest = start->log.newest.position;

    if (!wait_for_handover(start, &newest, err))
        return false;
    if (newest == start->log.newest.position && !wait_in_duel(start, &newest, err))
        return false;
    *ret_moved = newest != start->log.newest.position;
    return true;
}

/* Somebody was faster by one: its record, if it continues our head, is what our open follows now. */
static bool go_behind(struct start *start, struct err *err)
{
    struct record record;
    struct store_entry entry;
    uint64_t position = start->log.newest.position + 1;

    if (start->log.met.size == 0)
        return err_set(err, ERR_NOT_FOUND, "record %" PRIu64 " was reported to exist and is absent",
                       position);
    if (!record_decode(start->log.met.bytes, start->log.met.size, &record, err))
        return err_wrap(err, "record %" PRIu64, position);
    if (record.header.position != position || !id_equal(&record.header.lineage, &start->lineage))
        return err_set(err, ERR_CORRUPT, "record %" PRIu64 " belongs to another lineage or position",
                       position);
    if (memcmp(record.header.previous.bytes, start->log.newest_hash.bytes, HASH_SIZE) != 0)
        return err_set(err, ERR_NOT_FOUND, "record %" PRIu64 " does not follow the head that was read",
                       position);
    entry = (struct store_entry){key_log(position).text, start->log.met.size};
    (void)!chain_listing_add(&start->listing, &entry);
    log_follow(&start->log, &record.header, &record.hash);
    return true;
}

struct chain_anchor start_head(const struct start *start)
{
    const struct record_header *newest = &start->log.newest;

    if (newest->kind == RECORD_OPEN && id_equal(&newest->owner, &start->owner))
        return (struct chain_anchor){newest->position - 1, newest->previous};
    return (struct chain_anchor){newest->position, start->log.newest_hash};
}

struct chain_anchor start_goal(const struct start *start)
{
    if (start->goal.position == 0)
        return start_head(start);
    return (struct chain_anchor){start->goal.position, start->goal_hash};
}

const struct record_header *start_goal_header(const struct start *start)
{
    return start->goal.position == 0 ? &start->log.newest : &start->goal;
}

void start_set_goal(struct start *start, const struct record_header *header, const struct digest *hash)
{
    struct key before = start_goal_header(start)->base.key;

    start->goal = header ? *header : (struct record_header){.position = 0};
    if (header)
        start->goal_hash = *hash;
    if (strcmp(before.text, start_goal_header(start)->base.key.text) != 0)
        start_forget_manifest(start);
}

bool start_claim(struct start *start, struct err *err)
{
    CLEANUP(buf_clearp) struct buf body = BUF_INIT(4096);
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    open_body_encode(start->config->version, host, &body);
    for (;;) {
        struct log_change open = {.kind = RECORD_OPEN, .body = body.bytes, .body_size = body.size};
        start->head = start->log.newest.position;
        log_freeze(&start->log, &start->owner, &open);
        if (log_send(&start->log, err))
            return true;
        if (err->code != ERR_CONFLICT)
            return err_wrap(err, "take over");
        if (!go_behind(start, err))
            return false;
    }
}

struct confirmation {
    struct start *start;
    uint64_t newest;
    struct buf open;
};

static bool look_for_newest(void *context, struct err *err)
{
    struct confirmation *confirmation = context;

    return list_newest(confirmation->start, &confirmation->newest, err);
}

/* Nothing at append time can prove that a store's conditional write is atomic; two winners would at least be
 * seen here (protocol.md, H24). */
static bool look_at_own_open(void *context, struct err *err)
{
    struct confirmation *confirmation = context;
    struct start *start = confirmation->start;
    struct record record;

    if (!log_read(start->store, &start->lineage, start->log.newest.position, &confirmation->open, &record,
                  err))
        return false;
    if (memcmp(record.hash.bytes, start->log.newest_hash.bytes, HASH_SIZE) != 0)
        return err_set(err, ERR_FENCED,
                       "record %" PRIu64
                       " was ours and is another's now: the store's conditional writes are not atomic",
                       start->log.newest.position);
    return true;
}

static bool judge_newer(struct start *start, enum start_verdict *ret_verdict, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    uint64_t next = start->log.newest.position + 1;
    struct record record;
    struct err read = {0};

    if (!log_read(start->store, &start->lineage, next, &bytes, &record, &read)) {
        if (read.code == ERR_NOT_FOUND) {
            *ret_verdict = START_VOID;
            return true;
        }
        *err = read;
        return false;
    }
    if (memcmp(record.header.previous.bytes, start->log.newest_hash.bytes, HASH_SIZE) == 0)
        return err_set(
            err, ERR_FENCED,
            "another container took over while this one was starting; two containers share this prefix");
    *ret_verdict = START_VOID;
    return true;
}

bool start_confirm(struct start *start, enum start_verdict *ret_verdict, struct err *err)
{
    struct confirmation confirmation = {.start = start, .open = BUF_INIT(RECORD_SIZE_MAX)};
    struct task_group group;
    bool answered;

    group_init(&group, start->pool, 8);
    group_submit(&group, look_for_newest, &confirmation);
    group_submit(&group, look_at_own_open, &confirmation);
    answered = group_wait(&group, err);
    buf_clear(&confirmation.open);
    if (!answered)
        return err_wrap(err, "confirm the takeover");
    if (confirmation.newest == start->log.newest.position) {
        *ret_verdict = START_OWNER;
        return true;
    }
    return judge_newer(start, ret_verdict, err);
}
