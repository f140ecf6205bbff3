#include "sidecar/doctor.h"

#include "tests/tap.h"

#include <unistd.h>

static const char no_mark[] = "/nothing/is/here";

/* What doctor says with this timeout and one or two variables (a blank between) in the environment; the count
 * of faults goes to *ret_faults. */
static const char *look(uint64_t timeout_ms, const char *variable, const char *mark, size_t *ret_faults)
{
    static char path[] = "PATH=/bin", given[64], more[64];
    char *const environment[] = {path, given, more, NULL};
    static char text[2048];
    struct diagnosis diagnosis = {.output = BUF_INIT(sizeof(text))};
    struct config config = {.shutdown_timeout_ms = timeout_ms};
    size_t first = strcspn(variable, " ");

    (void)snprintf(given, sizeof(given), "%.*s", (int)first, variable);
    (void)snprintf(more, sizeof(more), "%s", variable[first] ? variable + first + 1 : "MORE=");
    doctor_look_at_platform(&diagnosis, &config, environment, mark);
    (void)snprintf(text, sizeof(text), "%s", diagnosis.output.size > 0 ? buf_text(&diagnosis.output) : "");
    *ret_faults = diagnosis.faults;
    buf_clear(&diagnosis.output);
    return text;
}

TEST(nothing_is_said_where_the_platform_is_not_known)
{
    size_t faults = 9;

    EXPECT_STR(look(60000, "FLY_APP_NAME_OF_MINE=x", no_mark, &faults), "");
    EXPECT_INT(faults, 0);
}

TEST(a_shutdown_beyond_the_fixed_grace_of_cloud_run_is_a_fault)
{
    size_t faults = 0;

    EXPECT_STR(look(25000, "K_SERVICE=app", no_mark, &faults),
               "fault  HOLDFAST_SHUTDOWN_TIMEOUT: it is 25000 ms, but Cloud Run kills 10 s after SIGTERM and "
               "what is left would not be shipped: set it below that, to 8s say\n");
    EXPECT_INT(faults, 1);
    EXPECT(strstr(look(10000, "K_SERVICE=app", no_mark, &faults), "fault  ") != NULL);
    EXPECT(strstr(look(9999, "K_SERVICE=app", no_mark, &faults), "ok     ") != NULL);
    EXPECT_INT(faults, 0);
}

TEST(a_shutdown_beyond_the_fixed_grace_of_cloudflare_is_a_fault)
{
    size_t faults = 0;

    EXPECT(strstr(look(900000, "CLOUDFLARE_APPLICATION_ID=1", no_mark, &faults),
                  "Cloudflare kills 900 s after SIGTERM and what is left would not be shipped: set it below "
                  "that, to 720s say\n") != NULL);
    EXPECT_INT(faults, 1);
    EXPECT(strstr(look(899999, "CLOUDFLARE_APPLICATION_ID=1", no_mark, &faults), "ok     ") != NULL);
    EXPECT_INT(faults, 0);
}

TEST(a_shutdown_beyond_a_default_grace_is_a_note_that_names_the_setting)
{
    static const struct {
        const char *variable;
        uint64_t timeout_ms;
        const char *words;
    } cases[] = {
        {"FLY_APP_NAME=app", 5000,
         "Fly.io kills 5 s after SIGTERM unless it is told otherwise: make sure that "
         "kill_timeout in fly.toml is longer"},
        {"KUBERNETES_SERVICE_HOST=10.0.0.1", 30000, "terminationGracePeriodSeconds of the pod is longer"},
    };

    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        size_t faults = 9;
        const char *said = look(cases[at].timeout_ms, cases[at].variable, no_mark, &faults);
        EXPECT(strstr(said, "note   HOLDFAST_SHUTDOWN_TIMEOUT: ") == said);
        EXPECT(strstr(said, cases[at].words) != NULL);
        EXPECT_INT(faults, 0);
        EXPECT(strstr(look(cases[at].timeout_ms - 1, cases[at].variable, no_mark, &faults), "ok     ") !=
               NULL);
    }
}

TEST(knative_is_not_taken_for_cloud_run)
{
    size_t faults = 9;

    EXPECT(strstr(look(60000, "K_SERVICE=app KUBERNETES_SERVICE_HOST=10.0.0.1", no_mark, &faults),
                  "Kubernetes kills 30 s after SIGTERM") != NULL);
    EXPECT_INT(faults, 0);
}

TEST(docker_is_known_by_its_file_and_only_if_nothing_else_is)
{
    size_t faults = 0;

    EXPECT(strstr(look(25000, "A=b", "/proc/self/exe", &faults), "Docker kills 10 s after SIGTERM") != NULL);
    EXPECT(strstr(look(25000, "KUBERNETES_SERVICE_HOST=10.0.0.1", "/proc/self/exe", &faults),
                  "Kubernetes kills no earlier than 30 s") != NULL);
}

TAP_MAIN()
