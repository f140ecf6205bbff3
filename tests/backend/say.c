#include "tests/backend/say.h"

#include "base/clock.h"
#include "base/fs.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

__attribute__((__format__(__printf__, 3, 0))) static void print_line(int fd, const char *level,
                                                                     const char *format, va_list args)
{
    char time[CLOCK_TEXT_SIZE], text[2048], line[sizeof(text) + 64];
    struct err ignored;
    int size;

    clock_format(clock_unix_ns(), time);
    (void)vsnprintf(text, sizeof(text), format, args);
    size = snprintf(line, sizeof(line), "%s %s backend: %s\n", time, level, text);
    /* Nobody may be listening any more, which is no reason to stop. */
    (void)!fs_write_all(fd, line, (size_t)size, &ignored);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_line(STDOUT_FILENO, "INFO", format, args);
    va_end(args);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_line(STDERR_FILENO, "ERROR", format, args);
    va_end(args);
}
