/* Appending, and finding out what became of an append.
 *
 * An append is PUT log/N with If-None-Match: *, so the store itself decides who wrote record N, and no clock
 * takes part. What is hard is the answer that is lost or lies: a timeout may hide a success, and a 412 may be
 * caused by our own first attempt (libcurl sends a request again when a reused connection dies). The obvious
 * "412 means that somebody else owns the log" would make an owner fence itself; "a timeout means try again
 * with what has come since" would put two contents behind one acknowledgement (protocol.md, H3). So the bytes
 * never change once they were sent, and every unclear answer is settled by reading the record back. */
#include "snapshot/log.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

void log_init(struct log *log, struct store *once, struct store *store, const struct id *lineage)
{
    *log = (struct log){
        .once = once, .store = store, .flight = BUF_INIT(RECORD_SIZE_MAX), .met = BUF_INIT(RECORD_SIZE_MAX)};
    log->newest.lineage = *lineage;
}

void log_clear(struct log *log)
{
    buf_clear(&log->flight);
    buf_clear(&log->met);
}

void log_follow(struct log *log, const struct record_header *head, const struct digest *hash)
{
    assert(!log_in_flight(log));
    log->newest = *head;
    log->newest_hash = *hash;
}

bool log_in_flight(const struct log *log)
{
    return log->flight.size > 0;
}

/* A claimant learns from the head alone whether containers fight or crash in a loop: each open pushes its
 * time, a close clears them. */
static void count_open(struct record_header *header)
{
    memmove(&header->open_times_ns[1], &header->open_times_ns[0],
            (RECORD_OPENS - 1) * sizeof(header->open_times_ns[0]));
    header->open_times_ns[0] = header->time_ns;
}

static void apply_kind(struct record_header *header, const struct log_change *change)
{
    switch (change->kind) {
    case RECORD_OPEN:
        header->epoch = header->position;
        header->draining_until_ns = 0;
        count_open(header);
        break;
    case RECORD_BASE:
        assert(change->base && change->horizon > 0);
        header->base = *change->base;
        header->base.announced = header->position;
        header->horizon = change->horizon;
        if (change->roll_back)
            header->roll_back = *change->roll_back;
        break;
    case RECORD_DRAIN:
        header->draining_until_ns = change->draining_until_ns;
        break;
    case RECORD_CLOSE:
        memset(header->open_times_ns, 0, sizeof(header->open_times_ns));
        break;
    case RECORD_DATA:
    case RECORD_PIN:
        break;
    }
}

void log_freeze(struct log *log, const struct id *owner, const struct log_change *change)
{
    struct record_header header = log->newest;
    uint64_t now_ns = store_unix_ns(log->store);

    assert(!log_in_flight(log));
    header.kind = change->kind;
    header.owner = *owner;
    header.position = log->newest.position + 1;
    header.previous = log->newest_hash;
    /* Never below the time of the record before: a clock that was set back would put points in the wrong
     * order. */
    header.time_ns = now_ns > log->newest.time_ns ? now_ns : log->newest.time_ns;
    if (change->changes_data)
        header.data_position = header.position;
    apply_kind(&header, change);
    assert(header.epoch > 0 && header.epoch <= header.position);
    record_encode(&header, change->body, change->body_size, &log->flight, &log->flight_hash);
    log->flight_header = header;
}

static void confirm(struct log *log)
{
    struct record_header header = log->flight_header;
    struct digest hash = log->flight_hash;

    buf_clear(&log->flight);
    log_follow(log, &header, &hash);
}

/* Every object of ours ends with the hash of what is before it, in every version of the format. */
static bool is_intact(const struct buf *object)
{
    struct digest hash;

    if (object->size <= HASH_SIZE)
        return false;
    hash = digest_of(object->bytes, object->size - HASH_SIZE);
    return memcmp(hash.bytes, object->bytes + object->size - HASH_SIZE, HASH_SIZE) == 0;
}

/* A 412 was answered: our own bytes there mean success, another's that we are too late. Absent after a 412
 * can't be ours: an owner's unconfirmed position is never deleted, so whoever deleted it had passed it
 * (protocol.md, H17). Bytes that are damaged, on the way or in the store, say neither: an owner that ended
 * itself for a flipped bit would be a fault of its own. */
static bool settle(struct log *log, const char *key, struct err *err)
{
    struct err read = {0};
    bool found;

    buf_reset(&log->met);
    found = store_get(log->store, key, &log->met, &read);
    if (!found && read.code != ERR_NOT_FOUND) {
        *err = read;
        return err_wrap(err, "read %s back after a refused append", key);
    }
    if (log->met.size == log->flight.size && memcmp(log->met.bytes, log->flight.bytes, log->met.size) == 0)
        return true;
    if (found && !is_intact(&log->met))
        return err_set(err, ERR_CORRUPT, "%s exists and what is read back of it is damaged", key);
    if (log->flight_header.kind == RECORD_OPEN) {
        buf_clear(&log->flight);
        return err_set(err, ERR_CONFLICT, "%s is taken", key);
    }
    return err_set(err, ERR_FENCED, "another holdfast has taken over: %s is not ours", key);
}

bool log_send(struct log *log, struct err *err)
{
    struct key key = key_log(log->flight_header.position);
    struct err sent = {0};
    bool created;

    assert(log_in_flight(log));
    /* The first attempt goes out bare, so that the usual 412 costs one GET and not two. */
    created = store_create(log->once, key.text, log->flight.bytes, log->flight.size, &sent);
    if (!created && sent.code == ERR_TRANSIENT)
        created = store_create(log->store, key.text, log->flight.bytes, log->flight.size, &sent);
    if (!created && sent.code != ERR_CONFLICT) {
        *err = sent;
        return err_wrap(err, "append record %" PRIu64, log->flight_header.position);
    }
    if (!created && !settle(log, key.text, err))
        return false;
    confirm(log);
    return true;
}

bool log_parse(const struct id *lineage, uint64_t position, const void *bytes, size_t size,
               struct record *ret_record, struct err *err)
{
    struct key key = key_log(position);
    struct record record;

    if (!record_decode(bytes, size, &record, err))
        return err_wrap(err, "%s", key.text);
    if (record.header.position != position)
        return err_set(err, ERR_CORRUPT, "%s: it holds record %" PRIu64 "; an object was copied over it",
                       key.text, record.header.position);
    if (!id_equal(&record.header.lineage, lineage))
        return err_set(
            err, ERR_CORRUPT,
            "%s: it belongs to another lineage than holdfast.json: two stores were mixed in HOLDFAST_STORE",
            key.text);
    *ret_record = record;
    return true;
}

bool log_read(struct store *store, const struct id *lineage, uint64_t position, struct buf *bytes,
              struct record *ret_record, struct err *err)
{
    struct key key = key_log(position);

    buf_reset(bytes);
    if (!store_get(store, key.text, bytes, err))
        return err_wrap(err, "read record %" PRIu64, position);
    return log_parse(lineage, position, bytes->bytes, bytes->size, ret_record, err);
}
