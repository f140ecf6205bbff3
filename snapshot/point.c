#include "snapshot/point.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { DECIMAL_DIGITS_MAX = 18 };

static bool is_decimal(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits <= DECIMAL_DIGITS_MAX && text[digits] == '\0';
}

bool point_parse(const char *text, struct point *ret_point)
{
    struct point point = {.kind = POINT_RECORD};
    struct err ignored = {0};

    if (is_decimal(text)) {
        point.value = strtoull(text, NULL, 10);
        if (point.value == 0)
            return false;
    } else {
        point.kind = POINT_TIME;
        if (!clock_parse(text, &point.value, &ignored))
            return false;
    }
    *ret_point = point;
    return true;
}

bool point_equal(const struct point *left, const struct point *right)
{
    return left->kind == right->kind && left->value == right->value;
}
