/* As much JSON as the backend's own answers need: flat objects that it wrote itself. */
#ifndef TESTS_BACKEND_JSON_H
#define TESTS_BACKEND_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number or the text (which holds no escapes) of a member; false if it is absent or something else. */
bool json_number(const char *json, const char *name, uint64_t *ret_number);
bool json_text(const char *json, const char *name, char *text, size_t size);
/* Whether a member is there and true. */
bool json_is_true(const char *json, const char *name);

#endif
