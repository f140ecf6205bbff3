#include "snapshot/opening.h"

#include "snapshot/room.h"

#include <assert.h>

/* Left free for the application when a restore has ended. */
#define RESERVE_BYTES (UINT64_C(16) << 20)

static struct room room_of(const struct opening *opening)
{
    return (struct room){.directory_fd = opening->engine->directory_fd,
                         .name = "HOLDFAST_DATA_DIR",
                         .remedy = "use a larger disk (on Cloudflare, a larger instance_type)"};
}

static uint64_t base_bytes(const struct opening *opening)
{
    return manifest_disk_bytes(&opening->start.manifest, NULL, NULL);
}

bool opening_check_disk(const struct opening *opening, struct err *err)
{
    struct room room = room_of(opening);

    return opening->state.restoring == RESTORING_IN_PLACE ||
           room_check(&room, base_bytes(opening) + RESERVE_BYTES, err);
}

void opening_explain_failure(const struct opening *opening, uint64_t available_bytes, struct err *err)
{
    struct room room = room_of(opening);
    enum err_code code = err->code;

    assert(code != ERR_NONE);
    room_explain(&room, available_bytes, base_bytes(opening), err);
    if (err->code == code)
        (void)err_wrap(err, "restore");
}
