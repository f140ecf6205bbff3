/* How long the platform lets a container stop, where it can be told.
 *
 * No platform says its grace to the container. What it says is its name, in variables that it sets itself;
 * the grace that it gives unless told otherwise is documented. So only a fixed grace makes a fault, and a
 * default one makes a note: the deployment may well say more (charts/ does). */
#include "sidecar/doctor.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct platform {
    const char *variable; /* that the platform sets in each container */
    const char *name;
    unsigned grace_s;
    const char *remedy; /* where more can be had; NULL: nowhere */
};

/* The first that fits counts. https://cloud.google.com/run/docs/container-contract,
 * fly.io/docs/reference/configuration, kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle,
 * developers.cloudflare.com/containers/platform-details/. */
static const struct platform platforms[] = {
    {"KUBERNETES_SERVICE_HOST", "Kubernetes", 30, "terminationGracePeriodSeconds of the pod"},
    {"K_SERVICE", "Cloud Run", 10, NULL}, /* Knative sets it too, but in Kubernetes */
    {"FLY_APP_NAME", "Fly.io", 5, "kill_timeout in fly.toml"},
    {"CLOUDFLARE_APPLICATION_ID", "Cloudflare", 900, NULL},
};

/* Docker sets no variable, but leaves this file. */
static const struct platform docker = {NULL, "Docker", 10,
                                       "stop_grace_period of the service, or --stop-timeout of docker run"};

static bool is_set(char *const *environment, const char *variable)
{
    size_t size = strlen(variable);

    for (; *environment; environment++)
        if (strncmp(*environment, variable, size) == 0 && (*environment)[size] == '=')
            return true;
    return false;
}

static const struct platform *find_platform(char *const *environment, const char *docker_mark)
{
    for (size_t at = 0; at < sizeof(platforms) / sizeof(platforms[0]); at++)
        if (is_set(environment, platforms[at].variable))
            return &platforms[at];
    return access(docker_mark, F_OK) == 0 ? &docker : NULL;
}

void doctor_look_at_platform(struct diagnosis *diagnosis, const struct config *config,
                             char *const *environment, const char *docker_mark)
{
    static const char variable[] = "HOLDFAST_SHUTDOWN_TIMEOUT";
    const struct platform *platform = find_platform(environment, docker_mark);
    uint64_t timeout_ms = config->shutdown_timeout_ms;

    if (!platform)
        return;
    if (timeout_ms < UINT64_C(1000) * platform->grace_s)
        diagnosis_add(diagnosis, VERDICT_OK, variable,
                      "%" PRIu64 " ms, %s kills no earlier than %u s after SIGTERM", timeout_ms,
                      platform->name, platform->grace_s);
    else if (platform->remedy)
        diagnosis_add(
            diagnosis, VERDICT_NOTE, variable,
            "it is %" PRIu64
            " ms, but %s kills %u s after SIGTERM unless it is told otherwise: make sure that %s is longer",
            timeout_ms, platform->name, platform->grace_s, platform->remedy);
    else
        diagnosis_add(diagnosis, VERDICT_FAULT, variable,
                      "it is %" PRIu64
                      " ms, but %s kills %u s after SIGTERM and what is left would not be shipped: set it "
                      "below that, to %us say",
                      timeout_ms, platform->name, platform->grace_s, platform->grace_s / 5 * 4);
}
