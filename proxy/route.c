#include "proxy/route.h"

#include <string.h>

static const char reserved[] = "/_holdfast/";

static bool is_path(const char *target, const char *path)
{
    size_t size = strcspn(target, "?#");

    return strlen(path) == size && memcmp(target, path, size) == 0;
}

static bool is_reading(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Cloudflare asks whether the port is open by `GET /` with one of these as Host (facts: cloudflare.md, 1.2);
 * it has to be answered at once, whatever the backend does. */
static bool is_probe(const char *method, const struct request_facts *facts)
{
    const struct header *host = facts->host;

    return host && strcmp(method, "GET") == 0 && is_path(facts->target, "/") &&
           (text_equal(host->value, host->value_size, "ping") ||
            text_equal(host->value, host->value_size, "containerstarthealthcheck"));
}

static void answer_own_path(struct core *core, const char *method, const char *target, struct answer *answer)
{
    bool is_ready = is_path(target, "/_holdfast/ready");
    struct proxy_status status;

    if (!is_ready && !is_path(target, "/_holdfast/live")) {
        answer_error(answer, 404, "there is /_holdfast/live and /_holdfast/ready");
        return;
    }
    if (!is_reading(method)) {
        answer_error(answer, 405, "GET and HEAD are what this path knows");
        return;
    }
    gate_look(&core->gate); /* progress moves without a wake-up */
    gate_status(&core->gate, &status);
    answer_status(answer, is_ready && !gate_is_ready(&core->gate) ? 503 : 200, &status);
}

static void answer_admin(struct core *core, const struct request_head *head, const char *target,
                         struct answer *answer)
{
    const char *content_type = "text/plain; charset=utf-8";
    unsigned code = 200;
    char path[256];
    size_t size = strcspn(target, "?#");
    const struct proxy_admin_request request = {
        .method = head->method,
        .path = path,
        .is_deliberate =
            headers_find(&head->headers, "x-holdfast", NULL) && !headers_find(&head->headers, "origin", NULL),
    };

    core_publish(core);
    answer_text(answer, "");
    if (size < sizeof(path)) {
        memcpy(path, target, size);
        path[size] = '\0';
        if (core->config.admin_answer &&
            core->config.admin_answer(core->config.context, &request, &answer->body, &content_type, &code)) {
            answer->code = code;
            answer->content_type = content_type;
            return;
        }
    }
    answer_error(answer, 404, "there is nothing at this path");
}

bool route_answer(struct core *core, const struct proxy_front *front, const struct request_head *head,
                  const struct request_facts *facts, struct answer *answer)
{
    if (!front)
        answer_admin(core, head, facts->target, answer);
    else if (strncmp(facts->target, reserved, strlen(reserved)) == 0)
        answer_own_path(core, head->method, facts->target, answer);
    else if (is_probe(head->method, facts))
        answer_text(answer, "ok\n");
    else
        return false;
    return true;
}
