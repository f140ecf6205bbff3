/* The README's table of variables is the one of the program, word by word. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "sidecar/config.h"
#include "tests/tap.h"

#include <fcntl.h>

TEST(the_table_of_variables_in_the_readme_is_the_one_of_the_program)
{
    CLEANUP(buf_clearp) struct buf readme = BUF_INIT(1024 * 1024);
    CLEANUP(buf_clearp) struct buf table = BUF_INIT(1024 * 1024);
    struct err err = {0};

    config_describe_markdown(&table);
    REQUIRE_OK(fs_read_file(AT_FDCWD, "README.md", &readme, &err), &err);
    if (!EXPECT(strstr(buf_text(&readme), buf_text(&table))))
        fprintf(stderr, "README.md should say:\n%s", buf_text(&table));
}

TAP_MAIN()
