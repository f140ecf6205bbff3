#include "snapshot/digest.h"

#include "tests/tap.h"

/* FIPS 180-2, appendix B. */
static const struct {
    const char *text, *hex;
} published[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

TEST(a_digest_is_sha256)
{
    for (size_t at = 0; at < sizeof(published) / sizeof(published[0]); at++) {
        char text[DIGEST_TEXT_SIZE];
        struct digest digest = digest_of(published[at].text, strlen(published[at].text));
        digest_hex(&digest, text);
        EXPECT_STR(text, published[at].hex);
    }
}

TEST(nothing_at_all_has_a_digest)
{
    struct digest of_null = digest_of(NULL, 0), of_text = digest_of("", 0);

    EXPECT(digest_equal(&of_null, &of_text));
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
TEST(an_hmac_is_that_of_rfc_4231)
{
    char key[131], text[DIGEST_TEXT_SIZE];
    const char *message = "Test Using Larger Than Block-Size Key - Hash Key First";
    struct digest digest;

    memset(key, 0x0b, 20);
    digest = digest_hmac(key, 20, "Hi There", 8);
    digest_hex(&digest, text);
    EXPECT_STR(text, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");

    digest = digest_hmac("Jefe", 4, "what do ya want for nothing?", 28);
    digest_hex(&digest, text);
    EXPECT_STR(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, sizeof(key));
    digest = digest_hmac(key, sizeof(key), message, strlen(message));
    digest_hex(&digest, text);
    EXPECT_STR(text, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(hexadecimal_survives_the_round_trip)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of("round", 5), back;

    digest_hex(&digest, text);
    REQUIRE(digest_parse(text, &back));
    EXPECT(digest_equal(&digest, &back));
}

TEST(text_that_is_not_exactly_a_digest_is_refused)
{
    char text[DIGEST_TEXT_SIZE + 1] = {0};
    struct digest digest = digest_of("refused", 7), untouched = digest;

    digest_hex(&digest, text);
    text[63] = 'F';
    EXPECT(!digest_parse(text, &digest));
    text[63] = '\0';
    EXPECT(!digest_parse(text, &digest));
    text[63] = '0';
    text[64] = '0';
    EXPECT(!digest_parse(text, &digest));
    EXPECT(!digest_parse("", &digest));
    EXPECT(digest_equal(&digest, &untouched));
}

TAP_MAIN()
