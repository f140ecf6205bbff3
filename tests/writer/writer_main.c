/* The writer as a program of its own, so that it can be built with another SQLite than ours:
 * TEST_WRITER=… make check. The arguments are those of writer_start(). */
#include "tests/double/writer.h"

int main(int count, char **arguments)
{
    return count == 2 ? writer_main(arguments[1]) : 64;
}
