/* Requests as we want them, on libs3's pooled curl handles.
 *
 * libs3 sets its options on a handle and performs it; both calls are ours. Of its options only the write
 * callback is remembered: that is how bodies reach its parsers. Everything that goes on the wire comes from
 * the current call. The read callback is left out on purpose: it makes libs3 report success for requests that
 * failed.
 *
 * What libs3 gets to see is bounded and checked: error documents never reach it (its parser writes beyond an
 * array), headers never reach it (its handler writes into the buffer and beyond), a get reaches it only with
 * status 200, and a page of a listing only after all of it has arrived. */
#include "snapshot/store/s3_transport.h"

#include "base/cleanup.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

enum {
    CONNECT_TIMEOUT_S = 10,
    REQUEST_TIMEOUT_S = 60,
    SLOWEST_BYTES_PER_S = 64 * 1024,
    STALL_BYTES_PER_S = 1024,
    RECEIVE_BUFFER_SIZE = 256 * 1024,
    SEND_BUFFER_SIZE = 512 * 1024,
};

/* The real functions behind --wrap, and what takes their place: by their names for the linker, which C
 * reserves. */
#define LINKED_AS(name) __asm__(name)
CURLcode real_setopt(CURL *curl, CURLoption option, ...) LINKED_AS("__real_curl_easy_setopt");
CURLcode real_getinfo(CURL *curl, CURLINFO info, ...) LINKED_AS("__real_curl_easy_getinfo");
CURLcode real_perform(CURL *curl) LINKED_AS("__real_curl_easy_perform");
CURLcode wrapped_setopt(CURL *curl, CURLoption option, ...) LINKED_AS("__wrap_curl_easy_setopt");
CURLcode wrapped_getinfo(CURL *curl, CURLINFO info, ...) LINKED_AS("__wrap_curl_easy_getinfo");
CURLcode wrapped_perform(CURL *curl) LINKED_AS("__wrap_curl_easy_perform");
CURLMcode wrapped_add_handle(CURLM *multi, CURL *curl) LINKED_AS("__wrap_curl_multi_add_handle");
struct tm *wrapped_gmtime(const time_t *seconds) LINKED_AS("__wrap_gmtime");

/* The call of this thread with what libs3 gave us for it. */
struct current {
    struct s3_call *call;
    curl_write_callback pass_on;
    void *pass_on_context;
    size_t sent;
};

static _Thread_local struct current current;

void s3_transport_enter(struct s3_call *call)
{
    assert(!current.call);
    current = (struct current){.call = call};
}

void s3_transport_leave(void)
{
    assert(current.call);
    current = (struct current){0};
}

CURLcode wrapped_setopt(CURL *curl, CURLoption option, ...)
{
    va_list values;

    (void)curl;
    va_start(values, option);
    if (current.call && option == CURLOPT_WRITEFUNCTION)
        current.pass_on = va_arg(values, curl_write_callback);
    if (current.call && option == CURLOPT_WRITEDATA)
        current.pass_on_context = va_arg(values, void *);
    va_end(values);
    return current.call ? CURLE_OK : CURLE_FAILED_INIT;
}

/* libs3 asks for the status before it takes a byte of the body: it hears ours. */
CURLcode wrapped_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list args;
    void *result;

    va_start(args, info);
    result = va_arg(args, void *);
    va_end(args);
    if (!current.call || info != CURLINFO_RESPONSE_CODE)
        return real_getinfo(curl, info, result);
    *(long *)result = current.call->answer.status;
    return CURLE_OK;
}

/* Only the blocking way is wrapped to the end; the other one must not send unsigned requests. */
CURLMcode wrapped_add_handle(CURLM *multi, CURL *curl)
{
    (void)multi;
    (void)curl;
    return CURLM_BAD_EASY_HANDLE;
}

/* libs3 calls gmtime(), whose result all threads share. */
struct tm *wrapped_gmtime(const time_t *seconds)
{
    static _Thread_local struct tm result;

    return gmtime_r(seconds, &result);
}

static size_t take_head_line(char *line, size_t size, size_t count, void *context)
{
    s3_answer_note_line(&((struct s3_call *)context)->answer, line, size * count);
    return size * count;
}

static bool is_success(const struct s3_answer *answer)
{
    return answer->status >= 200 && answer->status <= 299;
}

/* Room for the whole object at once: growing would copy it several times. */
static bool make_room(struct s3_call *call)
{
    struct buf *contents = call->contents;
    uint64_t room = contents->size_max - contents->size;
    uint64_t wanted = call->answer.has_length ? call->answer.length : call->answer.received;

    if (wanted > room || call->answer.received > room) {
        call->answer.failure = S3_FAILURE_TOO_LARGE;
        return false;
    }
    if (call->answer.has_length && buf_extend(contents, (size_t)wanted))
        contents->size -= (size_t)wanted;
    return true;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct s3_call *call = context;
    size_t taken = size * count;
    bool is_first = call->answer.received == 0;

    call->answer.received += taken;
    if (call->operation == S3_GET && call->answer.status == 200) {
        if ((is_first || !call->answer.has_length) && !make_room(call))
            return 0;
        return current.pass_on(bytes, size, count, current.pass_on_context);
    }
    buf_add(&call->body, bytes, taken);
    if (call->body.overflowed && call->operation == S3_LIST && is_success(&call->answer))
        call->answer.failure = S3_FAILURE_TOO_LARGE;
    return call->body.overflowed ? 0 : taken;
}

static size_t give_body(char *bytes, size_t size, size_t count, void *context)
{
    const struct s3_call *call = context;
    size_t left = call->size - current.sent;
    size_t given = left < size * count ? left : size * count;

    memcpy(bytes, (const char *)call->bytes + current.sent, given);
    current.sent += given;
    return given;
}

/* libcurl itself sends a request again when the reused connection turns out to be dead. */
static int rewind_body(void *context, curl_off_t offset, int origin)
{
    const struct s3_call *call = context;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->size)
        return CURL_SEEKFUNC_FAIL;
    current.sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int look_for_cancel(void *context, curl_off_t down_total, curl_off_t down_now, curl_off_t up_total,
                           curl_off_t up_now)
{
    const struct s3_call *call = context;

    (void)down_total, (void)down_now, (void)up_total, (void)up_now;
    return call->options->canceled && atomic_load(call->options->canceled);
}

static void free_headersp(struct curl_slist **headers)
{
    curl_slist_free_all(*headers);
}

/* The lines of call->headers, cut apart in place; and those of libcurl's own that we don't want. */
static bool make_headers(struct s3_call *call, struct curl_slist **ret_headers)
{
    CLEANUP(free_headersp) struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    char *line = (char *)call->headers.bytes, *end = line + call->headers.size;

    while (headers && line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        struct curl_slist *longer;
        assert(newline);
        *newline = '\0';
        longer = curl_slist_append(headers, line);
        if (!longer)
            return false;
        headers = longer;
        line = newline + 1;
    }
    *ret_headers = MOVE(headers);
    return *ret_headers != NULL;
}

/* Sets one option; the first that fails is kept in *result. */
#define SET(result, curl, option, value) \
    ((void)(*(result) == CURLE_OK && (*(result) = real_setopt((curl), (option), (value)))))

static void set_method(CURL *curl, struct s3_call *call, CURLcode *result)
{
    switch (call->operation) {
    case S3_CREATE:
    case S3_PUT:
        SET(result, curl, CURLOPT_UPLOAD, 1L);
        SET(result, curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->size);
        SET(result, curl, CURLOPT_READFUNCTION, give_body);
        SET(result, curl, CURLOPT_READDATA, call);
        SET(result, curl, CURLOPT_SEEKFUNCTION, rewind_body);
        SET(result, curl, CURLOPT_SEEKDATA, call);
        SET(result, curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER_SIZE);
        return;
    case S3_STAT:
        SET(result, curl, CURLOPT_NOBODY, 1L);
        return;
    case S3_DELETE:
        SET(result, curl, CURLOPT_CUSTOMREQUEST, "DELETE");
        return;
    case S3_GET:
    case S3_LIST:
        SET(result, curl, CURLOPT_HTTPGET, 1L);
        return;
    }
}

static void set_limits(CURL *curl, const struct s3_call *call, CURLcode *result)
{
    uint64_t expected = call->size;

    if (call->operation == S3_GET)
        expected = call->contents->size_max - call->contents->size;
    if (expected > S3_PAGE_SIZE_MAX)
        expected = S3_PAGE_SIZE_MAX * 2;
    SET(result, curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    SET(result, curl, CURLOPT_TIMEOUT, (long)(REQUEST_TIMEOUT_S + expected / SLOWEST_BYTES_PER_S));
    SET(result, curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
    SET(result, curl, CURLOPT_LOW_SPEED_TIME, (long)call->options->stall_timeout_s);
    SET(result, curl, CURLOPT_NOPROGRESS, 0L);
    SET(result, curl, CURLOPT_XFERINFOFUNCTION, look_for_cancel);
    SET(result, curl, CURLOPT_XFERINFODATA, call);
    /* Larger is faster and nothing else. libcurl (7.88) refuses it where the buffer of the call before is
     * still there, as after a name that was not found: no reason to send nothing with this handle again. */
    (void)real_setopt(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER_SIZE);
}

static void set_security(CURL *curl, const struct s3_call *call, CURLcode *result)
{
    SET(result, curl, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(result, curl, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(result, curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (call->options->ca_file)
        SET(result, curl, CURLOPT_CAINFO, call->options->ca_file);
    SET(result, curl, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(result, curl, CURLOPT_FOLLOWLOCATION, 0L);
    SET(result, curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(result, curl, CURLOPT_UNRESTRICTED_AUTH, 0L);
}

static CURLcode set_up(CURL *curl, struct s3_call *call, struct curl_slist *headers, char *error_text)
{
    CURLcode result = CURLE_OK;

    SET(&result, curl, CURLOPT_URL, buf_text(&call->url));
    SET(&result, curl, CURLOPT_PATH_AS_IS, 1L);
    SET(&result, curl, CURLOPT_HTTPHEADER, headers);
    SET(&result, curl, CURLOPT_USERAGENT, "holdfast");
    SET(&result, curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(&result, curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(&result, curl, CURLOPT_NOSIGNAL, 1L);
    SET(&result, curl, CURLOPT_ERRORBUFFER, error_text);
    SET(&result, curl, CURLOPT_HEADERFUNCTION, take_head_line);
    SET(&result, curl, CURLOPT_HEADERDATA, call);
    SET(&result, curl, CURLOPT_WRITEFUNCTION, take_body);
    SET(&result, curl, CURLOPT_WRITEDATA, call);
    set_method(curl, call, &result);
    set_limits(curl, call, &result);
    set_security(curl, call, &result);
    return result;
}

/* The handle goes back to libs3's pool: nothing of this call may stay in it. */
static void forget_pointers(CURL *curl)
{
    (void)real_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    (void)real_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    (void)real_setopt(curl, CURLOPT_READDATA, NULL);
    (void)real_setopt(curl, CURLOPT_WRITEDATA, NULL);
    (void)real_setopt(curl, CURLOPT_HEADERDATA, NULL);
    (void)real_setopt(curl, CURLOPT_XFERINFODATA, NULL);
}

static enum s3_failure failure_of(CURLcode code)
{
    static const struct {
        CURLcode code;
        enum s3_failure failure;
    } failures[] = {
        {CURLE_OK, S3_FAILURE_NONE},
        {CURLE_COULDNT_RESOLVE_HOST, S3_FAILURE_NAME},
        {CURLE_COULDNT_RESOLVE_PROXY, S3_FAILURE_NAME},
        {CURLE_COULDNT_CONNECT, S3_FAILURE_CONNECT},
        {CURLE_PEER_FAILED_VERIFICATION, S3_FAILURE_CERTIFICATE},
        {CURLE_SSL_CACERT_BADFILE, S3_FAILURE_CA_FILE},
        {CURLE_OPERATION_TIMEDOUT, S3_FAILURE_TIMEOUT},
        {CURLE_ABORTED_BY_CALLBACK, S3_FAILURE_CANCELED},
        {CURLE_SSL_CONNECT_ERROR, S3_FAILURE_BROKEN},
        {CURLE_PARTIAL_FILE, S3_FAILURE_BROKEN},
        {CURLE_GOT_NOTHING, S3_FAILURE_BROKEN},
        {CURLE_SEND_ERROR, S3_FAILURE_BROKEN},
        {CURLE_RECV_ERROR, S3_FAILURE_BROKEN},
        {CURLE_SEND_FAIL_REWIND, S3_FAILURE_BROKEN},
        {CURLE_UPLOAD_FAILED, S3_FAILURE_BROKEN},
    };

    for (size_t at = 0; at < sizeof(failures) / sizeof(failures[0]); at++)
        if (failures[at].code == code)
            return failures[at].failure;
    return S3_FAILURE_OTHER;
}

static void note_failure(struct s3_call *call, CURLcode code, const char *error_text)
{
    struct s3_answer *answer = &call->answer;

    if (answer->failure == S3_FAILURE_NONE)
        answer->failure = failure_of(code);
    if (code == CURLE_WRITE_ERROR && !is_success(answer) && call->body.overflowed)
        answer->failure = S3_FAILURE_NONE; /* the status says it all; a page of HTML was cut short */
    if (code == CURLE_OK && answer->has_length && call->operation == S3_GET &&
        answer->received != answer->length)
        answer->failure = S3_FAILURE_BROKEN;
    if (answer->failure != S3_FAILURE_NONE)
        (void)snprintf(answer->failure_text, sizeof(answer->failure_text), "%s",
                       *error_text ? error_text : curl_easy_strerror(code));
}

static void transfer(CURL *curl, struct s3_call *call)
{
    CLEANUP(free_headersp) struct curl_slist *headers = NULL;
    char error_text[CURL_ERROR_SIZE] = "";
    CURLcode code =
        make_headers(call, &headers) ? set_up(curl, call, headers, error_text) : CURLE_OUT_OF_MEMORY;

    if (code == CURLE_OK)
        code = real_perform(curl);
    forget_pointers(curl);
    note_failure(call, code, error_text);
}

/* Pages are all or nothing. */
static void hand_over_page(struct s3_call *call)
{
    if (call->operation == S3_LIST && call->answer.failure == S3_FAILURE_NONE && call->answer.status == 200)
        (void)current.pass_on((char *)call->body.bytes, 1, call->body.size, current.pass_on_context);
}

/* Libs3's own verdict is of no use to us, but it must not go on to parse what was not handed over. */
CURLcode wrapped_perform(CURL *curl)
{
    struct s3_call *call = current.call;

    if (!call)
        return CURLE_FAILED_INIT;
    call->performed = true;
    if (call->rehearsal) {
        call->answer = (struct s3_answer){.status = 200};
        buf_add_text(&call->body, call->rehearsal);
    } else {
        transfer(curl, call);
    }
    hand_over_page(call);
    return call->answer.failure == S3_FAILURE_NONE ? CURLE_OK : CURLE_RECV_ERROR;
}

const char *s3_transport_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}
