/* How far the application has committed, as one number.
 *
 * The number counts the looks that found the header changed, under a mutex held for some 100 ns and no system
 * call. A torn header is a commit in progress, which may be behind others that are complete and that nobody
 * has looked at: it counts as a change too, and so does the first sound header after it. Too many steps cost
 * nothing but a question; one too few would release a response before its commit is safe. */
#include "snapshot/database_internal.h"

#include <assert.h>

/* Copies that are torn for longer than this many readings are left to the next look: the reader never waits.
 */
enum { READINGS_MAX = 16 };

static bool read_quickly(struct database *database, struct wal_index_header *ret_header)
{
    uint32_t words[WAL_INDEX_WORDS];
    struct wal_index index;

    for (unsigned reading = 0; reading < READINGS_MAX; reading++) {
        wal_index_copy(database->index, words);
        if (!wal_index_parse(words, &index))
            continue;
        *ret_header = index.header;
        return true;
    }
    return false;
}

void database_position_begin(struct database *database)
{
    assert(database->index && database->position == 0);
    database->position = 1;
    database->is_torn = !read_quickly(database, &database->seen);
}

static void advance(struct database *database, bool is_torn, const struct wal_index_header *header)
{
    if (is_torn ? !database->is_torn : database->is_torn || wal_index_moved(&database->seen, header))
        database->position++;
    database->is_torn = is_torn;
    if (!is_torn)
        database->seen = *header;
}

/* The mutex is held. */
static bool look(struct database *database, struct wal_index_header *ret_header)
{
    struct wal_index_header header = {0};
    bool is_torn = !read_quickly(database, &header);

    advance(database, is_torn, &header);
    if (!is_torn)
        *ret_header = header;
    return !is_torn;
}

bool database_position_at(struct database *database, struct wal_index_header *ret_header,
                          uint64_t *ret_position)
{
    bool is_sound;

    MUTEX_GUARD(&database->position_mutex);
    is_sound = look(database, ret_header);
    *ret_position = database->position;
    if (is_sound) {
        database->given = *ret_header;
        database->given_position = database->position;
    }
    return is_sound;
}

uint64_t database_position_given(struct database *database, const struct wal_index_header *header)
{
    MUTEX_GUARD(&database->position_mutex);
    return wal_index_equal(&database->given, header) ? database->given_position : 0;
}

uint64_t database_position(struct database *database)
{
    struct wal_index_header header;
    bool is_sound;

    MUTEX_GUARD(&database->position_mutex);
    is_sound = look(database, &header);
    assert(database->position > 0);
    (void)is_sound; /* torn or not, the number counts */
    return database->position;
}
