/* How much a restore takes is known of the base. How far databases and files grow by what came after it is
 * only learnt by applying that, and the size of its objects says little: a thousand records may all write the
 * same pages. So a disk that has room for the base is tried, and one that turns out to be full is refused in
 * the same words; whoever wrote to the directory empties it again then. */
#include "snapshot/room.h"

#include "base/fs.h"

#include <errno.h>
#include <inttypes.h>

/* Rounded so that a refusal never names two equal sizes. */
static uint64_t needed_mib(uint64_t bytes)
{
    return (bytes >> 20) + ((bytes & ((1 << 20) - 1)) > 0);
}

bool room_check(const struct room *room, uint64_t needed_bytes, struct err *err)
{
    uint64_t available = 0;

    if (!fs_free_bytes(room->directory_fd, &available, err))
        return false;
    return available >= needed_bytes ||
           err_set(err, ERR_CONFIG,
                   "not enough disk: the restore needs %" PRIu64 " MiB and %.400s has %" PRIu64
                   " MiB free; %s",
                   needed_mib(needed_bytes), room->name, available >> 20, room->remedy);
}

void room_explain(const struct room *room, uint64_t available_bytes, uint64_t base_bytes, struct err *err)
{
    if (err->code != ERR_SYSTEM || (err->number != ENOSPC && err->number != EDQUOT))
        return;
    (void)err_set(err, ERR_CONFIG,
                  "not enough disk: the restore needs more than the %" PRIu64
                  " MiB that %.400s had free, %" PRIu64
                  " MiB for the newest base and the rest for what was written since; %s",
                  available_bytes >> 20, room->name, needed_mib(base_bytes), room->remedy);
}
