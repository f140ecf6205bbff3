#include "base/err.h"

#include "tests/tap.h"

#include <errno.h>

static bool fail_to_open(struct err *err)
{
    errno = ENOSPC;
    return err_errno(err, "write /data/x");
}

static bool fail_above(struct err *err)
{
    return fail_to_open(err) ? true : err_wrap(err, "restore");
}

TEST(an_error_carries_its_context_and_its_errno_all_the_way_up)
{
    struct err err = {0};

    EXPECT(!fail_above(&err));
    EXPECT_STR(err.text, "restore: write /data/x: No space left on device");
    EXPECT_INT(err.code, ERR_SYSTEM);
    EXPECT_INT(err.number, ENOSPC);
}

TEST(an_error_of_our_own_forgets_an_older_errno)
{
    struct err err = {0};

    EXPECT(!fail_to_open(&err));
    EXPECT(!err_set(&err, ERR_CONFIG, "no: %s", err.text));
    EXPECT_STR(err.text, "no: write /data/x: No space left on device");
    EXPECT_INT(err.number, 0);
}

TEST(an_errno_picks_the_code)
{
    static const struct {
        int number;
        enum err_code code;
    } cases[] = {{ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_DENIED},      {EPERM, ERR_DENIED},
                 {EROFS, ERR_DENIED},     {ECANCELED, ERR_CANCELED}, {ETIMEDOUT, ERR_TRANSIENT},
                 {EAGAIN, ERR_TRANSIENT}, {EIO, ERR_SYSTEM}};

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        struct err err = {0};
        errno = cases[at].number;
        EXPECT(!err_errno(&err, "x"));
        EXPECT_INT(err.code, cases[at].code);
    }
}

TEST(a_text_that_is_too_long_is_cut_and_stays_a_text)
{
    char text[3000];
    struct err err = {0};

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    EXPECT(!err_set(&err, ERR_SYSTEM, "%s", text));
    EXPECT_INT(strlen(err.text), sizeof(err.text) - 1);
    EXPECT(!err_wrap(&err, "%s", text));
    EXPECT(strlen(err.text) < sizeof(err.text));
}

TAP_MAIN()
