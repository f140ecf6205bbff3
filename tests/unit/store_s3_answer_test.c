#include "snapshot/store/s3_answer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/tap.h"

static struct s3_answer heard(const char *const *lines)
{
    struct s3_answer answer = {0};

    for (; *lines; lines++)
        s3_answer_note_line(&answer, *lines, strlen(*lines));
    return answer;
}

#define HEARD(...) heard((const char *const[]){__VA_ARGS__, NULL})

TEST(the_status_line_is_read)
{
    EXPECT_INT(HEARD("HTTP/1.1 200 OK\r\n").status, 200);
    EXPECT_INT(HEARD("HTTP/1.1 503\r\n").status, 503);
    EXPECT_INT(HEARD("HTTP/2 404 \r\n").status, 404);
    EXPECT_INT(HEARD("HTTP/1.1 2000 OK\r\n").status, 0);
    EXPECT_INT(HEARD("HTTP/1.1 OK\r\n").status, 0);
    EXPECT_INT(HEARD("HTTP/1.1\r\n").status, 0);
}

TEST(each_status_line_begins_the_answer_anew)
{
    struct s3_answer answer = HEARD("HTTP/1.1 100 Continue\r\n", "Content-Length: 5\r\n",
                                    "Retry-After: 9\r\n", "\r\n", "HTTP/1.1 200 OK\r\n");

    EXPECT_INT(answer.status, 200);
    EXPECT(!answer.has_length);
    EXPECT_INT(answer.retry_after_s, 0);
}

TEST(headers_are_read_whatever_their_case)
{
    struct s3_answer answer =
        HEARD("HTTP/1.1 200 OK\r\n", "content-LENGTH:  123 \r\n", "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
              "X-Amz-Bucket-Region: eu-central-1\r\n", "RETRY-AFTER: 7\r\n");

    EXPECT(answer.has_length);
    EXPECT_INT(answer.length, 123);
    EXPECT_INT(answer.date_unix_ns / NS_PER_SECOND, 784111777);
    EXPECT_STR(answer.region, "eu-central-1");
    EXPECT_INT(answer.retry_after_s, 7);
    EXPECT(HEARD("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n").is_chunked);
}

TEST(a_length_that_is_none_is_no_length)
{
    static const char *const values[] = {"", "-1", "+5", "12a", "1 2", "0x10", "99999999999999999999"};

    for (size_t at = 0; at < sizeof(values) / sizeof(values[0]); at++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "Content-Length: %s\r\n", values[at]);
        EXPECT(!HEARD("HTTP/1.1 200 OK", line).has_length);
    }
}

TEST(retry_after_may_be_a_date_beside_a_date)
{
    EXPECT_INT(HEARD("HTTP/1.1 503 x", "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                     "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT")
                   .retry_after_s,
               30);
    EXPECT_INT(HEARD("HTTP/1.1 503 x", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT").retry_after_s, 0);
    EXPECT_INT(HEARD("HTTP/1.1 503 x", "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                     "Retry-After: Sun, 06 Nov 1994 08:49:07 GMT")
                   .retry_after_s,
               0);
    EXPECT_INT(HEARD("HTTP/1.1 503 x", "Retry-After: soon").retry_after_s, 0);
}

TEST(hostile_lines_are_survived)
{
    char line[5000];
    struct s3_answer answer = {0};

    memset(line, 'A', sizeof(line));
    s3_answer_note_line(&answer, line, sizeof(line));
    memset(line, '\0', 100);
    s3_answer_note_line(&answer, line, 100);
    s3_answer_note_line(&answer, "", 0);
    s3_answer_note_line(&answer, ":", 1);
    s3_answer_note_line(&answer, "\r\n", 2);
    EXPECT_INT(answer.status, 0);
    EXPECT_STR(HEARD("HTTP/1.1 301 x", "x-amz-bucket-region: eu\"<evil>").region, "");
}

static struct s3_answer document(const char *text)
{
    struct s3_answer answer = {0};

    s3_answer_note_error(&answer, text, strlen(text));
    return answer;
}

TEST(an_error_document_gives_code_and_message)
{
    struct s3_answer answer = document(
        "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>It&apos;s &lt;not&gt; there &amp; "
        "never was</Message><Key>k</Key></Error>");

    EXPECT_STR(answer.code, "NoSuchKey");
    EXPECT_STR(answer.message, "It's <not> there & never was");
}

TEST(what_is_no_error_document_gives_nothing)
{
    EXPECT_STR(document("").code, "");
    EXPECT_STR(document("<html><Code>x</Code></html>").code, "");
    EXPECT_STR(document("<Error><Code>").code, "");
    EXPECT_STR(document("<Error><Cod").code, "");
    EXPECT_STR(document("<Error></Error>").message, "");
}

TEST(only_printable_characters_are_kept_and_long_texts_are_cut)
{
    CLEANUP(buf_clearp) struct buf text = BUF_INIT(4096);
    struct s3_answer answer;

    buf_printf(&text, "<Error><Code>%0500d</Code><Message>a\033[31mb\r\nc\xc3\xa9%01000d", 1, 2);
    answer = document(buf_text(&text));
    EXPECT_INT(strlen(answer.code), S3_CODE_SIZE - 1);
    EXPECT_INT(strlen(answer.message), S3_MESSAGE_SIZE - 1);
    EXPECT(strncmp(answer.message, "a [31mb  c  0", 13) == 0);
}

#define PAGE(inside) "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">" inside "</ListBucketResult>"

static enum err_code page(const char *text, bool *ret_more)
{
    struct err err = {0};

    (void)!s3_page_check(text, strlen(text), ret_more, &err);
    return err.code;
}

TEST(a_page_says_whether_more_follow)
{
    bool more = false;

    EXPECT_INT(page(PAGE("<IsTruncated>true</IsTruncated>"), &more), ERR_NONE);
    EXPECT(more);
    EXPECT_INT(page(PAGE("<IsTruncated>false</IsTruncated>"), &more), ERR_NONE);
    EXPECT(!more);
}

TEST(a_page_that_is_cut_off_or_says_nothing_is_refused)
{
    bool more = false;

    EXPECT_INT(page("", &more), ERR_CORRUPT);
    EXPECT_INT(page("<html>hello</html>", &more), ERR_CORRUPT);
    EXPECT_INT(page("<ListBucketResult><IsTruncated>false</IsTruncated><Contents>", &more), ERR_CORRUPT);
    EXPECT_INT(page(PAGE(""), &more), ERR_CORRUPT);
    EXPECT_INT(page(PAGE("<IsTruncated>perhaps</IsTruncated>"), &more), ERR_CORRUPT);
    EXPECT_INT(page(PAGE("<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>"), &more),
               ERR_CORRUPT);
}

TAP_MAIN()
