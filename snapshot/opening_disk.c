/* A disk that can't hold what the store has: said before anything is fetched, where that can be known.
 *
 * It is known of the base. How far databases and files grow by what came after it is only learnt by applying
 * that, and the size of its objects says little: a thousand records may all write the same pages. So a disk
 * that has room for the base is tried, and one that turns out to be full is refused in the same words; the
 * directory is empty again then. */
#include "snapshot/opening.h"

#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

/* Left free for the application when a restore has ended. */
#define RESERVE_BYTES (UINT64_C(16) << 20)
#define REMEDY "use a larger disk (on Cloudflare, a larger instance_type)"

bool opening_check_disk(const struct opening *opening, struct err *err)
{
    uint64_t needed = manifest_state_bytes(&opening->start.manifest) + RESERVE_BYTES, available = 0;

    if (!fs_free_bytes(opening->engine->directory_fd, &available, err))
        return false;
    if (available >= needed || opening->state.restoring == RESTORING_IN_PLACE)
        return true;
    return err_set(err, ERR_CONFIG,
                   "not enough disk: the restore needs %" PRIu64 " MiB and HOLDFAST_DATA_DIR has %" PRIu64
                   " MiB free; " REMEDY,
                   needed >> 20, available >> 20);
}

void opening_explain_failure(const struct opening *opening, uint64_t available_bytes, struct err *err)
{
    assert(err->code != ERR_NONE);
    if (err->code == ERR_SYSTEM && (err->number == ENOSPC || err->number == EDQUOT))
        (void)err_set(err, ERR_CONFIG,
                      "not enough disk: the restore needs more than the %" PRIu64
                      " MiB that HOLDFAST_DATA_DIR had free, %" PRIu64
                      " MiB for the newest base and the rest for what was written since; " REMEDY,
                      available_bytes >> 20, manifest_state_bytes(&opening->start.manifest) >> 20);
    else
        (void)err_wrap(err, "restore");
}
