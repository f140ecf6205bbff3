/* The HTTP front: holds requests until the backend answers, then passes them on in both directions.
 *
 * One thread owns everything (docs/DESIGN.md, Proxy). It knows nothing of snapshots, of the environment, or
 * of PID 1: what it has to know of the world it asks through the callbacks below, and other threads reach it
 * by the functions below alone. It never logs above debug.
 *
 * Calling sequence: proxy_open() binds every port and starts nothing, so that a taken port is known before
 * anything else happens; proxy_start() answers from then on; proxy_health_begin() once the backend was
 * launched; proxy_drain() when it is to end; proxy_free() stops the thread and closes everything. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "proxy/address.h"

#include <stddef.h>
#include <stdint.h>

/* What /_holdfast/ready shows, and what decides about requests: held in listen, restore and launch (unless
 * the start has failed), passed in serve, refused with 503 in drain, flush and fenced. */
enum proxy_state {
    PROXY_LISTEN,
    PROXY_RESTORE,
    PROXY_LAUNCH,
    PROXY_SERVE,
    PROXY_DRAIN,
    PROXY_FLUSH,
    PROXY_FENCED,
    PROXY_STATES
};

/* "listen", "restore", …. Static. */
const char *proxy_state_name(enum proxy_state state);

struct proxy_status {
    enum proxy_state state;
    double progress;        /* of the state, 0 to 1 */
    unsigned retry_after_s; /* 0: the proxy's own guess */
    bool degraded;          /* not ready although it serves */
    bool failed;            /* the start has: nobody waits any more, all are refused with `reason` */
    int exit_code;          /* of this process, which is about to end; shown if `failed` */
    char reason[1024];      /* one sentence for a person; may be empty */
};

/* One front port. Strings are borrowed for the proxy's life. */
struct proxy_front {
    struct address address;
    const char *variable; /* named when it can't be listened on: "HOLDFAST_LISTEN" */
    const char *prefix;   /* put before every path towards the backend: "" or "/http" */
};

enum { PROXY_FRONTS_MAX = 2 };

/* A request on the admin port. */
struct proxy_admin_request {
    const char *method;
    const char *path; /* without its query */
    /* It has X-Holdfast and no Origin. A web page somewhere can make a browser send requests to this machine
     * too, but not such ones: fields of that kind need a permission (CORS) that is never given here. What
     * changes something asks for it. */
    bool is_deliberate;
};

/* Answers it: fills *body and the outputs (200 and text/plain are preset), or returns false for 404. Called
 * by the proxy's thread, which answers nothing else meanwhile: it must not block. */
typedef bool proxy_admin(void *context, const struct proxy_admin_request *request, struct buf *body,
                         const char **ret_content_type, unsigned *ret_code);

/* The durability seam. Every byte that the backend hands over is released to the client only when the durable
 * position is at or above position_now(), asked after that byte was read. `gated` false: always released. */
struct proxy_durability {
    bool gated;
    uint64_t (*position_now)(void *context); /* must not block: asked once for each read from the backend */
    void (*waiting)(void *context); /* a byte is being held from now on and none was before; may be NULL */
    void *context;
};

/* Everything that can differ. Strings are borrowed for the proxy's life; 0 in a limit is its default. */
struct proxy_config {
    struct proxy_front fronts[PROXY_FRONTS_MAX];
    size_t fronts_count;
    struct address admin;
    const char *admin_variable;
    struct address upstream;
    const char *health_path;
    const char *drain_allow; /* colon-separated globs of paths that pass while draining; may be NULL */
    bool trust_forwarded;
    uint64_t hold_timeout_ms; /* how long a request waits for PROXY_SERVE; 0: not at all */
    uint64_t head_timeout_ms; /* 30 s: for a request head in all */
    uint64_t idle_timeout_ms; /* 75 s: without a byte, between requests or within a body */
    unsigned connections_max; /* 8192, or what the limit of open files allows: more wait in the backlog */
    unsigned held_max;        /* 1024 requests; more are answered 503 at once */
    struct proxy_durability durability;

    /* All are called by the proxy's thread, never two at once, and must not block. */
    void *context;
    void (*status)(void *context, struct proxy_status *ret_status);
    proxy_admin *admin_answer;
    /* A request, or a message of a WebSocket's client, goes to the backend; not health requests, probes and
     * pings. May be NULL. */
    void (*forwarded)(void *context);
    void (*answered)(void *context); /* the backend has answered a health request; once */
    /* After proxy_drain(): nothing is in flight any more, refusals of ours included; once. May be NULL */
    void (*drained)(void *context);
};

struct proxy;

/* Binds and listens on every port; clients that connect now wait in the backlog. ERR_CONFIG names the
 * variable whose port is taken. */
bool proxy_open(const struct proxy_config *config, struct proxy **ret_proxy, struct err *err) CHECKED;
/* Starts the thread: from here on everything is answered. Once. */
bool proxy_start(struct proxy *proxy, struct err *err) CHECKED;
/* Ends the thread, cuts what is still open and frees everything. NULL is fine. Not from a callback. */
void proxy_free(struct proxy *proxy);
DEFINE_CLEANUP(struct proxy *, proxy_free, proxy_freep)

/* The port that front number `at` listens on; asked for 0, the kernel chose it. At fronts_count: admin. */
uint16_t proxy_port(const struct proxy *proxy, size_t at);

/* The rest may be called by any thread, at any time from proxy_start() on, from callbacks too. None waits. */

/* The status has changed: look at it again. */
void proxy_wake(struct proxy *proxy);

/* Begins to ask GET health_path at the backend every 50 ms, until a complete response head with a status
 * below 500 came. */
void proxy_health_begin(struct proxy *proxy);

/* Everything up to position is durable. Never goes back. Costs a system call only if something is held. */
void proxy_set_durable(struct proxy *proxy, uint64_t position);

/* While on, what would have to be held is not: a response whose head was not sent yet becomes 503, a body or
 * a WebSocket in the middle is cut. Turning it on does that to what is held now. */
void proxy_fail_held(struct proxy *proxy, bool on);

/* Refuses new work (drain_allow excepted), lets answers in flight finish, closes WebSockets with 1001 at a
 * frame boundary (or cuts them, when nothing has moved towards the client for 2 s) and idle connections at
 * once. What is still there after deadline_ms from now is cut. Called again, the earlier deadline counts. */
void proxy_drain(struct proxy *proxy, uint64_t deadline_ms);

/* Another has taken over: whatever is held or in flight is dropped, connections are closed, and every new
 * request gets 503. There is no way back. */
void proxy_fence(struct proxy *proxy);

enum { PROXY_CODES_MAX = 600 };

struct proxy_counters {
    uint64_t requests[PROXY_CODES_MAX]; /* answered on the front ports, by status code */
    uint64_t forwarded;                 /* handed to the backend; probes and health requests aren't */
    unsigned held;                      /* waiting for PROXY_SERVE, or for their response to become durable */
    unsigned in_flight;                 /* neither held nor finished, without WebSockets */
    unsigned tunnels;                   /* open WebSockets */
};

void proxy_counters(const struct proxy *proxy, struct proxy_counters *ret_counters);

/* The version of libmicrohttpd in use, for `version` and `doctor`. Static. */
const char *proxy_http_library(void);

/* True if that library refuses ambiguous requests by itself (1.0.10 and newer, docs/DESIGN.md). */
bool proxy_http_library_is_strict(void);

#endif
