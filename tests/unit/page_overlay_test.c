/* Pages that wait beside a database. */
#include "snapshot/page_overlay.h"

#include "snapshot/pagehash.h"
#include "tests/double/scratch.h"
#include "tests/tap.h"

#include <fcntl.h>

enum { PAGE = 512, PAGES = 8 };

struct stand {
    struct scratch scratch;
    int database_fd;
    int fd;
    struct page_overlay overlay;
};

static int open_file(struct stand *stand, const char *path)
{
    return openat(stand->scratch.fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* Each page of the database has its own number in all bytes. */
static void begin(struct stand *stand)
{
    uint8_t bytes[PAGES * PAGE];

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = (uint8_t)(at / PAGE + 1);
    scratch_open(&stand->scratch);
    scratch_write_bytes(stand->scratch.fd, "database", bytes, sizeof(bytes));
    stand->database_fd = open_file(stand, "database");
    stand->fd = open_file(stand, "pages");
    page_overlay_begin(&stand->overlay, stand->fd, PAGE);
}

static void end(struct stand *stand)
{
    page_overlay_clear(&stand->overlay);
    (void)close(stand->database_fd);
    (void)close(stand->fd);
    scratch_close(&stand->scratch);
}

static void write_pages(struct stand *stand, uint32_t page, size_t count, uint8_t value)
{
    uint8_t bytes[PAGES * PAGE];
    struct err err = {0};

    memset(bytes, value, sizeof(bytes));
    REQUIRE_OK(page_overlay_write(&stand->overlay, page, bytes, count * PAGE, &err), &err);
}

/* What each page begins with, as a text of letters: A is 1. */
static const char *all_pages(struct stand *stand, size_t count)
{
    static char text[2 * PAGES + 1];
    uint8_t bytes[2 * PAGES * PAGE];
    struct err err = {0};

    if (!page_overlay_read(&stand->overlay, stand->database_fd, 1, bytes, count * PAGE, &err))
        return err.text[0] ? "refused" : "";
    for (size_t at = 0; at < count; at++)
        text[at] = (char)('A' + bytes[at * PAGE] - 1);
    text[count] = '\0';
    return text;
}

TEST(reading_shows_the_newest_image_of_each_page)
{
    struct stand stand;

    begin(&stand);
    EXPECT_STR(all_pages(&stand, PAGES), "ABCDEFGH");
    write_pages(&stand, 3, 2, 24);
    write_pages(&stand, 7, 1, 25);
    EXPECT_STR(all_pages(&stand, PAGES), "ABXXEFYH");
    write_pages(&stand, 4, 1, 26);
    EXPECT_STR(all_pages(&stand, PAGES), "ABXZEFYH");
    EXPECT_INT(stand.overlay.count, 3);
    EXPECT_INT(stand.overlay.pages[2], 7);
    end(&stand);
}

TEST(the_database_grows_in_the_overlay_alone)
{
    struct stand stand;

    begin(&stand);
    EXPECT_STR(all_pages(&stand, PAGES + 1), "refused");
    write_pages(&stand, PAGES + 1, 3, 26);
    EXPECT_STR(all_pages(&stand, PAGES + 3), "ABCDEFGHZZZ");
    EXPECT_INT(scratch_stat(stand.scratch.fd, "database").st_size, PAGES * PAGE);
    end(&stand);
}

TEST(the_page_of_the_locks_is_zeros_wherever_it_would_be)
{
    struct stand stand;
    uint8_t bytes[PAGE];
    struct err err = {0};

    begin(&stand);
    memset(bytes, 1, sizeof(bytes));
    REQUIRE_OK(
        page_overlay_read(&stand.overlay, stand.database_fd, pagehash_lock_page(PAGE), bytes, PAGE, &err),
        &err);
    EXPECT_INT(bytes[0] + bytes[PAGE - 1], 0);
    end(&stand);
}

TEST(many_pages_keep_their_images)
{
    struct stand stand;
    uint8_t bytes[PAGE];
    struct err err = {0};

    begin(&stand);
    for (uint32_t at = 0; at < 5000; at++)
        write_pages(&stand, at * 7919 % 5003 + 1, 1, (uint8_t)(at * 7919 % 5003 % 251));
    for (uint32_t at = 0; at < 5000; at++) {
        uint32_t page = at * 7919 % 5003 + 1;
        REQUIRE_OK(page_overlay_read(&stand.overlay, stand.database_fd, page, bytes, PAGE, &err), &err);
        REQUIRE(bytes[0] == (page - 1) % 251);
    }
    EXPECT_INT(stand.overlay.count, 5000);
    end(&stand);
}

TAP_MAIN()
