#include "snapshot/head_check.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

bool head_check_is_due(struct head_check *check, uint64_t record, uint64_t traffic, uint64_t now_ms)
{
    bool asked = traffic != check->traffic;

    check->traffic = traffic;
    if (record != check->record || check->confirmed_ms == 0) {
        check->record = record;
        check->confirmed_ms = now_ms;
        return false;
    }
    if (!asked || now_ms < check->confirmed_ms + HEAD_CHECK_EVERY_MS ||
        (check->looked_ms != 0 && now_ms < check->looked_ms + HEAD_CHECK_EVERY_MS))
        return false;
    check->looked_ms = now_ms;
    return true;
}

/* Whose record it is decides; what it says does not. */
static bool judge(const struct log *log, const struct buf *bytes, bool *ret_landed, struct err *err)
{
    struct record record;
    struct err ignored = {0};

    if (log_in_flight(log) && bytes->size == log->flight.size &&
        memcmp(bytes->bytes, log->flight.bytes, bytes->size) == 0) {
        *ret_landed = true;
        return true;
    }
    if (!record_decode(bytes->bytes, bytes->size, &record, &ignored))
        return true;
    return err_set(err, ERR_FENCED,
                   "another holdfast has taken over: record %" PRIu64
                   " is not ours, it is a record of epoch %" PRIu64,
                   record.header.position, record.header.epoch);
}

bool head_check_look(const struct log *log, bool *ret_landed, struct err *err)
{
    CLEANUP(buf_clearp) struct buf bytes = BUF_INIT(RECORD_SIZE_MAX);
    struct key next = key_log(log->newest.position + 1);
    struct err ignored = {0};
    uint64_t size = 0;

    assert(log->newest.position > 0);
    *ret_landed = false;
    if (!store_stat(log->once, next.text, &size, &ignored) ||
        !store_get(log->once, next.text, &bytes, &ignored))
        return true;
    return judge(log, &bytes, ret_landed, err);
}
