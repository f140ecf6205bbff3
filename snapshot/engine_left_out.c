/* Which databases are not followed, for whoever asks from outside the engine's thread. */
#include "snapshot/engine_internal.h"

#include <stdio.h>
#include <string.h>

enum {
    NAMES_MAX = 600, /* in one sentence */
    NAMES_END = 40,  /* room to say how many there are more */
};

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

/* As many as fit; of the rest it is said how many. */
static void list_names(const struct follower *follower, char *text, size_t size)
{
    size_t count = follower_left_out_count(follower), length = 0;

    for (size_t at = 0; at < count; at++) {
        const char *path = follower_left_out(follower, at).path;
        size_t needed = strlen(path) + 2;
        if (at > 0 && length + needed >= size - NAMES_END) {
            (void)snprintf(text + length, size - length, " and %zu others", count - at);
            return;
        }
        length += (size_t)snprintf(text + length, size - length, "%s%.*s", at > 0 ? ", " : "",
                                   (int)(size - NAMES_END - 2), path);
    }
}

/* What the application never shared while it ran may have been let in at the end, and is shipped then; of
 * what still isn't, the exit code must not say that it is in the store. */
bool engine_has_all(const struct engine *engine, struct err *err)
{
    size_t count = follower_left_out_count(engine->follower);
    char names[NAMES_MAX] = "";

    if (count == 0)
        return true;
    list_names(engine->follower, names, sizeof(names));
    return err_set(err, ERR_CONFLICT,
                   "what can't be followed is not in the store as it is here: %s (%.200s); name in "
                   "HOLDFAST_EXCLUDE what isn't worth keeping",
                   names, follower_left_out(engine->follower, 0).why);
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
