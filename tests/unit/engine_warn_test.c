/* What an engine has to say. */
#include "snapshot/engine_internal.h"
#include "tests/tap.h"

#include <sys/eventfd.h>

TEST(the_newest_warnings_are_kept_and_all_are_counted)
{
    enum { SAID = ENGINE_WARNINGS_MAX + 5 };
    struct engine *engine = xcalloc(1, sizeof(*engine));
    char text[32];

    pthread_mutex_init(&engine->mutex, NULL);
    engine->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(engine->event_fd >= 0);
    for (int number = 1; number <= SAID; number++) {
        (void)snprintf(text, sizeof(text), "number %d", number);
        engine_warn(engine, text);
    }
    EXPECT_INT(engine->status.warnings_count, ENGINE_WARNINGS_MAX);
    EXPECT_INT(engine->status.warnings_said, SAID);
    EXPECT_STR(engine->status.warnings[0], "number 6");
    EXPECT_STR(engine->status.warnings[ENGINE_WARNINGS_MAX - 1], text);
    (void)close(engine->event_fd);
    pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

TAP_MAIN()
