#include "sidecar/progress.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

void progress_begin(struct progress *progress, const char *verb)
{
    uint64_t now_ms = clock_monotonic_ms();

    *progress = (struct progress){
        .verb = verb, .is_terminal = isatty(STDERR_FILENO) == 1, .begin_ms = now_ms, .shown_ms = now_ms};
}

void progress_format_bytes(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double amount = (double)bytes;
    size_t unit = 0;

    while (amount >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        amount /= 1000;
        unit++;
    }
    (void)snprintf(text, 16, unit > 0 && amount < 9.95 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
}

static double share(uint64_t done, uint64_t total)
{
    if (total == 0)
        return 0;
    return done >= total ? 1 : (double)done / (double)total;
}

void progress_format_bar(struct buf *text, const char *verb, uint64_t elapsed_ms, uint64_t bytes_done,
                         uint64_t bytes_total)
{
    char done[16], total[16], bar[BAR_WIDTH + 1];
    double part = share(bytes_done, bytes_total);
    size_t filled = (size_t)(part * BAR_WIDTH);

    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    progress_format_bytes(bytes_done, done);
    progress_format_bytes(bytes_total, total);
    buf_printf(text, "%s [%s] %.0f %%, %s of %s", verb, bar, part * 100, done, total);
    if (part > 0.02 && part < 1)
        buf_printf(text, ", %.0f s left", (double)elapsed_ms / 1000 * (1 - part) / part);
}

static void show_bar(struct progress *progress, uint64_t bytes_done, uint64_t bytes_total)
{
    CLEANUP(buf_clearp) struct buf line = BUF_INIT(512);

    buf_add_text(&line, "\r");
    progress_format_bar(&line, progress->verb, clock_monotonic_ms() - progress->begin_ms, bytes_done,
                        bytes_total);
    buf_add_text(&line, "\033[K");
    progress->has_bar = true;
    (void)!write(STDERR_FILENO, line.bytes, line.size); /* a bar that can't be drawn hurts nobody */
}

static void show_line(const struct progress *progress, uint64_t bytes_done, uint64_t bytes_total)
{
    char done[16], total[16];

    progress_format_bytes(bytes_done, done);
    progress_format_bytes(bytes_total, total);
    log_info("%s: %.0f %%, %s of %s", progress->verb, share(bytes_done, bytes_total) * 100, done, total);
}

/* Takes note of it if it is. */
static bool is_time(struct progress *progress)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms < progress->shown_ms + (progress->is_terminal ? PROGRESS_BAR_MS : PROGRESS_LINE_MS))
        return false;
    progress->shown_ms = now_ms;
    return true;
}

void progress_report(struct progress *progress, uint64_t bytes_done, uint64_t bytes_total)
{
    if (!is_time(progress))
        return;
    if (progress->is_terminal)
        show_bar(progress, bytes_done, bytes_total);
    else
        show_line(progress, bytes_done, bytes_total);
}

void progress_say(struct progress *progress, const char *text)
{
    CLEANUP(buf_clearp) struct buf line = BUF_INIT(4096);
    double elapsed_s = (double)(clock_monotonic_ms() - progress->begin_ms) / 1000;

    if (!is_time(progress))
        return;
    if (!progress->is_terminal) {
        log_info("%s: %s, for %.0f s", progress->verb, text, elapsed_s);
        return;
    }
    buf_printf(&line, "\r%s: %s, %.0f s\033[K", progress->verb, text, elapsed_s);
    progress->has_bar = true;
    (void)!write(STDERR_FILENO, line.bytes, line.size);
}

void progress_end(struct progress *progress)
{
    if (progress->has_bar)
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
    progress->has_bar = false;
}
