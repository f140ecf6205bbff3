/* An application that does what it is told: a process of its own with one connection, which runs the SQL that
 * the test sends, one text at a time, while the test goes on. With a busy timeout of 5 s, like Convex.
 *
 * It is the test program itself, executed again (see writer.h). */
#ifndef TESTS_DOUBLE_SCRIPT_H
#define TESTS_DOUBLE_SCRIPT_H

#include <stdbool.h>
#include <sys/types.h>

struct script {
    pid_t pid;
    int channel;
    bool is_busy;
};

/* Starts one on a new or existing database, named by a path or a URI. Stops the test program if there is no
 * process to be had. */
void script_start(struct script *script, const char *path);
/* Sends a text, which may hold several statements, and goes on at once. */
void script_send(struct script *script, const char *sql);
/* Whether the last text has been run. */
bool script_is_done(struct script *script);
/* Waits for that; true if all statements succeeded. Prints what went wrong if false. */
bool script_wait(struct script *script);
/* Both. */
bool script_run(struct script *script, const char *sql);
/* Lets it close its connection, and waits for its end. */
void script_stop(struct script *script);
/* SIGKILL, and waits. */
void script_kill(struct script *script);

#endif
