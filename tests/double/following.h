/* A follower with its directory, over the log of a story. */
#ifndef TESTS_DOUBLE_FOLLOWING_H
#define TESTS_DOUBLE_FOLLOWING_H

#include "snapshot/standby.h"
#include "tests/double/scratch.h"
#include "tests/double/story.h"

struct following {
    struct scratch copy;
    struct standby *standby;
    struct store *store;
    int warnings; /* so far */
    struct err err;
};

/* Opens the standby in the directory that is there. */
bool following_start(struct following *following);
void following_stop(struct following *following);
/* With a new directory. */
void following_begin(struct following *following, struct store *store);
void following_end(struct following *following);

/* Looks until nothing comes any more. */
bool following_advance(struct following *following);
/* The same, and the directory holds what the story says of its newest record. */
bool following_matches(struct following *following, struct story *story);
/* It can't go on, says why, and the copy is as it was. */
bool following_refuses(struct following *following, struct story *story, enum err_code code, const char *why);
/* It can't be started in that directory, as ERR_CONFIG. */
bool following_is_kept_out(struct following *following, const char *why);

/* A story, and a copy that follows it through a store that can fail. */
struct pursuit {
    struct story story;
    struct store *faulty;
    struct following following;
};

/* The copy begins after so many steps of the story. */
void pursuit_begin(struct pursuit *pursuit, uint64_t seed, int steps);
void pursuit_end(struct pursuit *pursuit);
void pursuit_steps(struct pursuit *pursuit, int steps);
/* Stops the follower and starts another one; prints why if false. */
bool pursuit_restart(struct pursuit *pursuit);
/* following_matches(), following_refuses() */
bool pursuit_matches(struct pursuit *pursuit);
bool pursuit_refuses(struct pursuit *pursuit, enum err_code code, const char *why);

#endif
