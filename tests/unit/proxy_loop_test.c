#include "proxy/loop.h"

#include "base/cleanup.h"
#include "base/thread.h"
#include "proxy/stream.h"
#include "tests/tap.h"

#include <sys/socket.h>

static char order[16];
static struct loop loop;

struct named {
    struct loop_timer timer;
    char name;
};

static void note(struct loop_timer *timer)
{
    order[strlen(order)] = LIST_ENTRY(timer, struct named, timer)->name;
}

static void open_loop(void)
{
    struct err err = {0};

    REQUIRE_OK(loop_open(&loop, &err), &err);
}

TEST(timers_fire_in_order_of_time_and_not_before)
{
    static const unsigned delays[] = {30, 10, 20, 10};
    struct named timers[4];
    uint64_t begin_ms;

    open_loop();
    begin_ms = loop.now_ms;
    for (size_t at = 0; at < 4; at++) {
        timers[at].name = (char)('a' + at);
        loop_timer_init(&timers[at].timer, note);
        loop_timer_set(&loop, &timers[at].timer, delays[at]);
    }
    while (strlen(order) < 4)
        loop_run(&loop, UINT64_MAX);
    EXPECT_STR(order, "bdca");
    EXPECT(loop.now_ms - begin_ms >= 30);
    loop_close(&loop);
}

TEST(a_timer_that_is_cleared_or_set_again_does_not_fire)
{
    struct named cleared = {.name = 'c'}, moved = {.name = 'm'}, kept = {.name = 'k'};

    open_loop();
    loop_timer_init(&cleared.timer, note);
    loop_timer_init(&moved.timer, note);
    loop_timer_init(&kept.timer, note);
    loop_timer_set(&loop, &cleared.timer, 1);
    loop_timer_set(&loop, &moved.timer, 1);
    loop_timer_set(&loop, &kept.timer, 20);
    loop_timer_set(&loop, &moved.timer, 100000);
    EXPECT(loop_timer_is_set(&cleared.timer));
    loop_timer_clear(&cleared.timer);
    EXPECT(!loop_timer_is_set(&cleared.timer));
    while (order[0] == '\0')
        loop_run(&loop, UINT64_MAX);
    EXPECT_STR(order, "k");
    loop_close(&loop);
}

struct source {
    struct loop_source source;
    struct source *victim;
};

static int ready_count;

static void remove_victim(struct loop_source *source, uint32_t events)
{
    struct source *own = LIST_ENTRY(source, struct source, source);

    (void)events;
    ready_count++;
    loop_remove(&loop, &own->victim->source);
}

TEST(a_source_that_is_removed_hears_nothing_of_this_round)
{
    struct source one, other;
    struct err err = {0};

    open_loop();
    one = (struct source){.source.ready = remove_victim, .victim = &other};
    other = (struct source){.source.ready = remove_victim, .victim = &one};
    REQUIRE_OK(event_open(&one.source.fd, &err) && event_open(&other.source.fd, &err), &err);
    REQUIRE(loop_add(&loop, &one.source, EPOLLIN) && loop_add(&loop, &other.source, EPOLLIN));
    event_raise(one.source.fd);
    event_raise(other.source.fd);
    loop_run(&loop, 1000);
    EXPECT_INT(ready_count, 1);
    loop_close(&loop);
    (void)close(one.source.fd);
    (void)close(other.source.fd);
}

static void changed(struct stream *stream)
{
    (void)stream;
}

TEST(the_end_behind_the_last_bytes_is_not_missed)
{
    struct stream stream;
    int ends[2];
    char bytes[16];

    open_loop();
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    REQUIRE(stream_open(&stream, &loop, ends[0], changed));
    REQUIRE(write(ends[1], "abc", 3) == 3);
    (void)close(ends[1]);
    loop_run(&loop, 1000);
    EXPECT_INT(stream_receive(&stream, bytes, sizeof(bytes)), 3);
    EXPECT_INT(stream_receive(&stream, bytes, sizeof(bytes)), STREAM_ENDED);
    stream_close(&stream);
    stream_close(&stream);
    EXPECT(!stream_is_open(&stream));
    loop_close(&loop);
}

TEST(a_full_socket_blocks_and_a_closed_one_is_broken)
{
    static char bytes[64 * 1024];
    struct stream stream;
    int ends[2];
    ssize_t sent;

    open_loop();
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    REQUIRE(stream_open(&stream, &loop, ends[0], changed));
    EXPECT_INT(stream_send_bytes(&stream, bytes, 1),
               STREAM_BLOCKED); /* nobody has said yet that it is writable */
    loop_run(&loop, 1000);
    while ((sent = stream_send_bytes(&stream, bytes, sizeof(bytes))) > 0)
        ;
    EXPECT_INT(sent, STREAM_BLOCKED);
    (void)close(ends[1]);
    loop_run(&loop, 1000);
    EXPECT_INT(stream_send_bytes(&stream, bytes, 1), STREAM_BROKEN);
    stream_close(&stream);
    loop_close(&loop);
}

TAP_MAIN()
