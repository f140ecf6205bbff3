#include "tests/double/following.h"

#include "tests/double/store_fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void count_warning(void *context, const char *text)
{
    struct following *following = context;

    (void)text;
    following->warnings++;
}

bool following_start(struct following *following)
{
    struct standby_config config = {.store = following->store,
                                    .directory = following->copy.path,
                                    .warn = count_warning,
                                    .context = following};

    return standby_open(&config, &following->standby, &following->err);
}

void following_stop(struct following *following)
{
    standby_free(following->standby);
    following->standby = NULL;
}

void following_begin(struct following *following, struct store *store)
{
    *following = (struct following){.store = store};
    scratch_open(&following->copy);
    if (following_start(following))
        return;
    printf("# following: %s\n", following->err.text);
    (void)fflush(stdout);
    abort();
}

void following_end(struct following *following)
{
    following_stop(following);
    scratch_close(&following->copy);
}

bool following_advance(struct following *following)
{
    bool moved = true;

    while (moved)
        if (!standby_advance(following->standby, &moved, &following->err))
            return false;
    return true;
}

bool following_matches(struct following *following, struct story *story)
{
    uint64_t position = history_head(&story->history);

    if (!following_advance(following)) {
        printf("#   %s\n", following->err.text);
        return false;
    }
    if (standby_point_of(following->standby).record != position) {
        printf("#   it stands at record %llu\n",
               (unsigned long long)standby_point_of(following->standby).record);
        return false;
    }
    return story_matches(story, position, following->copy.fd);
}

static bool says(const struct following *following, enum err_code code, const char *why)
{
    if (following->err.code == code && strstr(following->err.text, why))
        return true;
    printf("#   %s: %s\n", err_code_name(following->err.code), following->err.text);
    return false;
}

bool following_refuses(struct following *following, struct story *story, enum err_code code, const char *why)
{
    uint64_t position = standby_point_of(following->standby).record;

    return !following_advance(following) && says(following, code, why) &&
           standby_point_of(following->standby).record == position &&
           story_matches(story, position, following->copy.fd);
}

bool following_is_kept_out(struct following *following, const char *why)
{
    return !following_start(following) && says(following, ERR_CONFIG, why);
}

void pursuit_steps(struct pursuit *pursuit, int steps)
{
    for (int step = 0; step < steps; step++)
        story_step(&pursuit->story);
}

void pursuit_begin(struct pursuit *pursuit, uint64_t seed, int steps)
{
    story_begin(&pursuit->story, seed);
    pursuit->faulty = store_fault_new(pursuit->story.history.mem);
    pursuit_steps(pursuit, steps);
    following_begin(&pursuit->following, pursuit->faulty);
}

void pursuit_end(struct pursuit *pursuit)
{
    following_end(&pursuit->following);
    store_free(pursuit->faulty);
    story_end(&pursuit->story);
}

bool pursuit_restart(struct pursuit *pursuit)
{
    following_stop(&pursuit->following);
    if (following_start(&pursuit->following))
        return true;
    printf("#   %s\n", pursuit->following.err.text);
    return false;
}

bool pursuit_matches(struct pursuit *pursuit)
{
    return following_matches(&pursuit->following, &pursuit->story);
}

bool pursuit_refuses(struct pursuit *pursuit, enum err_code code, const char *why)
{
    return following_refuses(&pursuit->following, &pursuit->story, code, why);
}
