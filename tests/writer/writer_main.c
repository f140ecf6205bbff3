/* The writer as a program of its own, so that it can be built with another SQLite than ours:
 * TEST_WRITER=… make check. The arguments are those of writer_start(); without one it prints the version of
 * its SQLite. */
#include "tests/double/writer.h"

#include <stdio.h>

int main(int count, char **arguments)
{
    if (count == 2)
        return writer_main(arguments[1]);
    (void)printf("%s\n", writer_sqlite_version());
    return 0;
}
