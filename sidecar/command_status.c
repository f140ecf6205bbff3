#include "sidecar/commands.h"

#include "sidecar/admin_client.h"
#include "sidecar/lifecycle.h"

int command_status(const struct invocation *invocation)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(1 << 20);
    const char *path = invocation->arguments->json ? "/status" : "/status.txt";
    struct err err = {0};

    if (admin_get(&invocation->config->admin_listen, path, &text, &err))
        return command_print(&text);
    (void)command_failed(&err);
    return EXIT_NOT_RUNNING;
}
