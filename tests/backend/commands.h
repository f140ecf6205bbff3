/* The program's commands. Each gets the arguments after its name and returns the exit status. */
#ifndef TESTS_BACKEND_COMMANDS_H
#define TESTS_BACKEND_COMMANDS_H

int serve_command(int count, char **arguments);
int load_command(int count, char **arguments);
int check_command(int count, char **arguments);
int generate_command(int count, char **arguments);
int commit_load_command(int count, char **arguments);
/* What the program does under the name `convex-local-backend`. */
int convex_command(int count, char **arguments);

/* What --help prints. */
extern const char serve_help[], load_help[], check_help[], generate_help[], commit_load_help[];

#endif
