/* What the backend prints: progress on standard output, as Convex does, and complaints on standard error. One
 * write(2) for each line, so that lines of different threads never interleave. Any thread may call these. */
#ifndef TESTS_BACKEND_SAY_H
#define TESTS_BACKEND_SAY_H

#include "base/err.h"

void say(const char *format, ...) PRINTF_LIKE(1, 2);
void complain(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
