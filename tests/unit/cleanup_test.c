#include "base/cleanup.h"

#include "tests/tap.h"

#include <fcntl.h>

static int released;

static void count_release(char *thing)
{
    if (thing)
        released++;
}

DEFINE_CLEANUP(char *, count_release, count_releasep)

static bool leave_early(bool early)
{
    static char thing;
    CLEANUP(count_releasep) char *first = &thing;
    CLEANUP(count_releasep) char *second = NULL;

    if (early)
        return !!first;
    second = first;
    return !second;
}

TEST(leaving_a_scope_releases_what_was_acquired_so_far)
{
    EXPECT(leave_early(true));
    EXPECT_INT(released, 1);
    EXPECT(!leave_early(false));
    EXPECT_INT(released, 3);
}

TEST(what_was_moved_is_not_released)
{
    static char thing;
    char *kept;

    {
        CLEANUP(count_releasep) char *owner = &thing;
        kept = MOVE(owner);
        EXPECT(!owner);
    }
    EXPECT(kept == &thing);
    EXPECT_INT(released, 0);
}

TEST(a_descriptor_is_closed_at_the_end_unless_it_was_moved)
{
    int closed, kept;

    {
        CLEANUP(close_fdp) int none = -1;
        CLEANUP(close_fdp) int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CLEANUP(close_fdp) int second = open("/dev/null", O_RDONLY | O_CLOEXEC);
        EXPECT_INT(none, -1);
        closed = first;
        kept = MOVE_FD(second);
        EXPECT_INT(second, -1);
    }
    EXPECT_INT(fcntl(closed, F_GETFD), -1);
    EXPECT(fcntl(kept, F_GETFD) >= 0);
    (void)close(kept);
}

TEST(memory_and_streams_are_released_and_nothing_is_fine)
{
    /* LeakSanitizer, in the run that has it, sees what this would leave behind. */
    CLEANUP(freep) char *memory = malloc(8);
    CLEANUP(freep) char *nothing = NULL;
    CLEANUP(close_filep) FILE *stream = fopen("/dev/null", "re");
    CLEANUP(close_filep) FILE *no_stream = NULL;

    EXPECT(memory && stream);
    EXPECT(!nothing && !no_stream);
}

TAP_MAIN()
