#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum err_code code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ECANCELED:
        return ERR_CANCELED;
    case EAGAIN:
    case ETIMEDOUT:
        return ERR_TRANSIENT;
    default:
        return ERR_SYSTEM;
    }
}

void err_record(struct err *err, enum err_code code, const char *format, ...)
{
    char text[sizeof(err->text)]; /* the arguments may point into err->text */
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->text, text, sizeof(text));
    err->code = code;
    err->number = 0;
}

void err_record_errno(struct err *err, const char *format, ...)
{
    int number = errno;
    char what[sizeof(err->text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    err_record(err, code_of_errno(number), "%.900s: %s", what, strerrordesc_np(number));
    err->number = number;
}

void err_prefix(struct err *err, const char *format, ...)
{
    char what[sizeof(err->text)];
    int number = err->number;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    err_record(err, err->code, "%.320s: %.700s", what, err->text);
    err->number = number;
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",           [ERR_CONFIG] = "config",       [ERR_DENIED] = "denied",
        [ERR_NOT_FOUND] = "not found", [ERR_CONFLICT] = "conflict",   [ERR_FENCED] = "fenced",
        [ERR_CORRUPT] = "corrupt",     [ERR_TRANSIENT] = "transient", [ERR_CANCELED] = "canceled",
        [ERR_SYSTEM] = "system",
    };
    return names[code];
}
