/* Which databases are not followed, for whoever asks from outside the engine's thread. */
#include "snapshot/engine_internal.h"

#include <stdio.h>
#include <string.h>

void engine_note_left_out(struct engine *engine)
{
    const struct follower *follower = engine->follower;
    size_t count = follower_left_out_count(follower);

    if (follower_left_out_changes(follower) == engine->left_out_changes)
        return;
    engine->left_out_changes = follower_left_out_changes(follower);
    MUTEX_GUARD(&engine->mutex);
    engine->left_out = xrealloc(engine->left_out, (count + 1) * sizeof(engine->left_out[0]));
    for (size_t at = 0; at < count; at++) {
        struct left_out left_out = follower_left_out(follower, at);
        struct engine_left_out *noted = &engine->left_out[at];
        (void)snprintf(noted->path, sizeof(noted->path), "%s", left_out.path);
        (void)snprintf(noted->why, sizeof(noted->why), "%s", left_out.why);
        noted->since_ns = left_out.since_ns;
    }
    engine->status.left_out_count = count;
    event_raise(engine->event_fd);
}

size_t engine_left_out(struct engine *engine, struct engine_left_out *ret_list, size_t most)
{
    size_t count;

    MUTEX_GUARD(&engine->mutex);
    count = engine->status.left_out_count < most ? engine->status.left_out_count : most;
    if (count > 0)
        memcpy(ret_list, engine->left_out, count * sizeof(ret_list[0]));
    return count;
}
