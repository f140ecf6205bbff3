#include "snapshot/store/s3_sign.h"

#include "tests/tap.h"

/* The published examples: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
static const struct s3_key example_key = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                          NULL};

enum { EXAMPLE_TIME_S = 1369353600 }; /* 2013-05-24T00:00:00Z */

static struct s3_request example(const char *method, const char *path)
{
    return (struct s3_request){
        .method = method,
        .host = "examplebucket.s3.amazonaws.com",
        .path = path,
        .payload = digest_of("", 0),
        .region = "us-east-1",
        .unix_s = EXAMPLE_TIME_S,
    };
}

#define BUFFERS()                                           \
    CLEANUP(buf_clearp) struct buf target = BUF_INIT(8192); \
    CLEANUP(buf_clearp) struct buf lines = BUF_INIT(32768)

static bool has(struct buf *text, const char *wanted)
{
    bool found = strstr(buf_text(text), wanted) != NULL;

    if (!found)
        printf("#   \"%s\" is not in:\n#   %s\n", wanted, buf_text(text));
    return found;
}

TEST(the_published_get_of_an_object)
{
    static const struct s3_field range[] = {{"range", "bytes=0-9"}};
    struct s3_request request = example("GET", "/test.txt");
    BUFFERS();

    request.headers = range;
    request.header_count = 1;
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT_STR(buf_text(&target), "/test.txt");
    EXPECT(has(&lines, "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"));
    EXPECT(has(&lines, "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n"));
}

TEST(the_published_put_of_an_object)
{
    static const struct s3_field headers[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                              {"date", "Fri, 24 May 2013 00:00:00 GMT"}};
    struct s3_request request = example("PUT", "/test$file.text");
    BUFFERS();

    request.headers = headers;
    request.header_count = 2;
    request.payload = digest_of("Welcome to Amazon S3.", 21);
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT_STR(buf_text(&target), "/test%24file.text");
    EXPECT(has(&lines, "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd\n"));
}

TEST(the_published_question_with_a_bare_parameter)
{
    struct s3_field query[] = {{"lifecycle", ""}};
    struct s3_request request = example("GET", "/");
    BUFFERS();

    request.query = query;
    request.query_count = 1;
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT_STR(buf_text(&target), "/?lifecycle=");
    EXPECT(has(&lines, "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543\n"));
}

TEST(the_published_listing_whatever_the_order_of_its_parameters)
{
    struct s3_field query[] = {{"prefix", "J"}, {"max-keys", "2"}};
    struct s3_request request = example("GET", "/");
    BUFFERS();

    request.query = query;
    request.query_count = 2;
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT_STR(buf_text(&target), "/?max-keys=2&prefix=J");
    EXPECT(has(&lines, "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7\n"));
}

TEST(only_unreserved_characters_travel_as_they_are)
{
    struct s3_field query[] = {{"marker", "a/b c+d=e&f"}};
    struct s3_request request = example("GET", "/a b/c+d!*'()~_-./\xc3\xa9%2f");
    BUFFERS();

    request.query = query;
    request.query_count = 1;
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT_STR(buf_text(&target), "/a%20b/c%2Bd%21%2A%27%28%29~_-./%C3%A9%252f?marker=a%2Fb%20c%2Bd%3De%26f");
}

TEST(a_session_token_of_any_length_is_sent_and_signed)
{
    char token[6001];
    struct s3_key key = example_key;
    struct s3_request request = example("GET", "/x");
    BUFFERS();

    memset(token, 't', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    key.session_token = token;
    s3_sign(&request, &key, &target, &lines);
    EXPECT(has(&lines, token));
    EXPECT(has(&lines, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
    EXPECT(!lines.overflowed);
}

TEST(every_line_that_is_sent_is_signed_and_names_the_payload)
{
    static const struct s3_field create[] = {{"if-none-match", "*"}};
    struct s3_request request = example("PUT", "/x");
    BUFFERS();

    request.headers = create;
    request.header_count = 1;
    request.payload = digest_of("abc", 3);
    s3_sign(&request, &example_key, &target, &lines);
    EXPECT(has(&lines, "host: examplebucket.s3.amazonaws.com\n"));
    EXPECT(has(&lines, "if-none-match: *\n"));
    EXPECT(has(&lines,
               "x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"));
    EXPECT(has(&lines, "x-amz-date: 20130524T000000Z\n"));
    EXPECT(has(&lines, "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date,"));
}

TEST(the_secret_is_in_nothing_that_is_sent)
{
    struct s3_request request = example("GET", "/x");
    BUFFERS();

    s3_sign(&request, &example_key, &target, &lines);
    EXPECT(!strstr(buf_text(&lines), example_key.secret_access_key));
    EXPECT(!strstr(buf_text(&target), example_key.secret_access_key));
}

TAP_MAIN()
