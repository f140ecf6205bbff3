/* Errors are values.
 *
 * A function that can fail takes `struct err *err` last and returns bool: true means success and *err is
 * untouched; false means *err says what happened and what the caller may do about it. Outputs are named ret_…
 * and are untouched on failure. Nothing is allocated, so running out of memory cannot hide what went wrong.
 * An error is wrapped with context on its way up and logged once, where it stops. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/* Each code is named for what the caller does about it. */
enum err_code {
    ERR_NONE = 0,
    ERR_CONFIG,    /* the operator has to change something; retrying can't help (exit 64) */
    ERR_DENIED,    /* credentials or permissions were refused (exit 64) */
    ERR_NOT_FOUND, /* absent, and we know it: often an answer, not a fault */
    ERR_CONFLICT,  /* a create-if-absent met an object: read it back before concluding anything */
    ERR_FENCED,    /* another owner has taken over: stop, touch nothing (exit 76) */
    ERR_CORRUPT,   /* bytes don't match their digest or format (exit 65) */
    ERR_TRANSIENT, /* timeout, throttling, 5xx, broken connection: the outcome may be unknown, another try may
                      do */
    ERR_CANCELED,  /* shutdown was requested */
    ERR_SYSTEM,    /* what else the kernel or a library reported */
};

struct err {
    enum err_code code;
    char text[1024]; /* room for a whole object key and its cause */
    int number;      /* the errno behind it, 0 if there was none */
};

#define CHECKED __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((__format__(__printf__, text, first)))

/* Replaces *err by code and text. */
void err_record(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same from errno, whose value picks the code and whose text is appended. */
void err_record_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "context: " before the text; the code stays. */
void err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* "transient", "corrupt", …: for logs and tests. Static. */
const char *err_code_name(enum err_code code);

/* Macros so that the literal `false` stands at the call, where readers and gcc's analyser see it:
 *
 *     if (!store_get(store, key, &bytes, err))
 *         return err_wrap(err, "read the manifest %s", key);
 */
#define err_set(err, code, ...) (err_record((err), (code), __VA_ARGS__), false)
#define err_errno(err, ...) (err_record_errno((err), __VA_ARGS__), false)
#define err_wrap(err, ...) (err_prefix((err), __VA_ARGS__), false)

#endif
