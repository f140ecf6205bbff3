#include "tests/double/fault_server.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void require(bool held, const char *what)
{
    if (!held) {
        perror(what);
        abort();
    }
}

/* The text between "name": " and the next quote. */
static void take_text(const char *json, const char *name, char *text, size_t size)
{
    const char *at = strstr(json, name);
    size_t length;

    require(at != NULL, "the server's first line");
    at += strlen(name);
    length = strcspn(at, "\"");
    require(length < size, "the server's first line");
    memcpy(text, at, length);
    text[length] = '\0';
}

void fault_server_start(struct fault_server *server, const char *option)
{
    int input[2], output[2];
    CLEANUP(close_filep) FILE *lines = NULL;
    char line[2048] = "";

    *server = (struct fault_server){.tls = option && strcmp(option, "--tls") == 0};
    require(pipe(input) == 0 && pipe(output) == 0, "pipe");
    server->pid = fork();
    if (server->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)close(input[1]);
        (void)execlp("python3", "python3", "tests/fault/fault_s3.py", option, (char *)NULL);
        _exit(127);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    server->input_fd = input[1];
    lines = fdopen(output[0], "r");
    require(lines && fgets(line, sizeof(line), lines),
            "tests/fault/fault_s3.py (run the test in the project's root)");
    take_text(line, "\"endpoint\": \"", server->endpoint, sizeof(server->endpoint));
    if (server->tls)
        take_text(line, "\"ca_file\": \"", server->ca_file, sizeof(server->ca_file));
    server->port = atoi(strrchr(strstr(server->endpoint, "127.0.0.1:"), ':') + 1);
}

void fault_server_stop(struct fault_server *server)
{
    (void)close(server->input_fd);
    require(waitpid(server->pid, NULL, 0) == server->pid, "waitpid");
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
    return fd;
}

int fault_server_tell(const struct fault_server *server, const char *command, const char *json,
                      struct buf *reply)
{
    CLEANUP(close_fdp) int fd = connect_to(server->port);
    CLEANUP(buf_clearp) struct buf answer = BUF_INIT(64 * 1024 * 1024);
    const char *name = strchr(command, ' '), *body;
    char piece[65536];
    ssize_t got;

    if (!json)
        json = "";
    require(
        dprintf(fd,
                "%.*s /_control/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                (int)(name - command), command, name + 1, strlen(json), json) > 0,
        "tell the server");
    while ((got = read(fd, piece, sizeof(piece))) > 0)
        buf_add(&answer, piece, (size_t)got);
    body = strstr(buf_text(&answer), "\r\n\r\n");
    require(body != NULL, "the server's answer");
    if (reply)
        buf_add_text(reply, body + 4);
    return atoi(buf_text(&answer) + strlen("HTTP/1.1 "));
}

void fault_server_configure(const struct fault_server *server, struct store_config *config)
{
    *config = (struct store_config){
        .kind = STORE_S3,
        .bucket = xstrdup("fault-bucket"),
        .prefix = xstrdup("p"),
        .endpoint = server->endpoint,
        .region = "fault-region-1",
        .access_key_id = {.value = "FAULTKEYID"},
        .secret_access_key = {.value = "fault/secret+with=signs"},
        .path_style = true,
        .ca_file = server->tls ? server->ca_file : NULL,
        .stall_timeout_s = 1,
    };
}
