/* tests/fault/fault_s3.py as a child of a test: an S3 server that fails as told. What it can be told is
 * written at its top. */
#ifndef TESTS_DOUBLE_FAULT_SERVER_H
#define TESTS_DOUBLE_FAULT_SERVER_H

#include "base/buf.h"
#include "snapshot/store/config.h"

#include <sys/types.h>

struct fault_server {
    pid_t pid;
    int input_fd; /* the server ends with it */
    int port;
    bool tls;
    char endpoint[128];
    char ca_file[256];
};

/* Starts the server and waits until it listens; option: "--tls", "--base-path=/x", or NULL. Aborts the test
 * if it can't. */
void fault_server_start(struct fault_server *server, const char *option);
void fault_server_stop(struct fault_server *server);

/* Sends one command, as "POST faults", with its JSON (or NULL); the answer's body in *reply unless that is
 * NULL. The status. Not for a server with TLS. */
int fault_server_tell(const struct fault_server *server, const char *command, const char *json,
                      struct buf *reply);

/* Fills what a store of this server needs, with "p" as prefix. Cleared with store_config_clear(). */
void fault_server_configure(const struct fault_server *server, struct store_config *config);

#endif
