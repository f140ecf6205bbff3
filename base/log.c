#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_format configured_format = LOG_TEXT;
static enum log_level configured_level = LOG_INFO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_configure(enum log_format format, enum log_level level)
{
    configured_format = format;
    configured_level = level;
}

bool log_is_enabled(enum log_level level)
{
    return level <= configured_level;
}

/* A message is one line: names that come from file systems and servers may hold line breaks. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

static void write_line(const char *line, size_t size)
{
    /* A log that can't be written is no reason to stop: the exit code carries the truth. */
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, line, size);
        if (written <= 0)
            return;
        line += written;
        size -= (size_t)written;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    char message[2048];
    char time[CLOCK_TEXT_SIZE];
    struct buf line = BUF_INIT(16384);
    va_list args;

    if (!log_is_enabled(level))
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    clock_format(clock_unix_ns(), time);
    if (configured_format == LOG_JSON) {
        buf_printf(&line, "{\"time\":\"%s\",\"source\":\"holdfast\",\"level\":\"%s\",\"message\":", time,
                   level_names[level]);
        buf_add_json(&line, message);
        buf_add_text(&line, "}\n");
    } else {
        flatten(message);
        buf_printf(&line, "%s holdfast %s %s\n", time, level_names[level], message);
    }
    write_line((const char *)line.bytes, line.size);
    buf_clear(&line);
}
