/*
 * base/text.c: what may reach a terminal, and how near two words are.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "xhad/base/text.h"

static void test_escape(void **state)
{
    char buf[64];

    (void)state;
    assert_string_equal(xha_text_escape(buf, sizeof(buf), "plain 'text' ~"), "plain 'text' ~");
    assert_string_equal(xha_text_escape(buf, sizeof(buf), "a\x1b[2J\n\x7f\xc2\x9b\\"),
                        "a\\x1b[2J\\x0a\\x7f\\xc2\\x9b\\\\");
    assert_string_equal(xha_text_escape_bytes(buf, sizeof(buf), "a\0b", 3), "a\\x00b");
}

/* However short the buffer, the text ends in it, and is never cut within an escape. */
static void test_escape_cuts(void **state)
{
    char buf[16];

    (void)state;
    for (size_t len = 1; len <= sizeof(buf); len++) {
        memset(buf, '#', sizeof(buf));
        xha_text_escape(buf, len, "ab\x1b\x1b\x1b\x1b");
        assert_true(strlen(buf) < len);
        assert_true(len == sizeof(buf) || buf[len] == '#');
    }
    assert_string_equal(xha_text_escape(buf, 10, "ab\x1b\x1b\x1b"), "ab\\x1b...");
    assert_string_equal(xha_text_escape(buf, 8, "abcdefgh"), "abcd...");
    assert_string_equal(xha_text_escape(buf, 9, "abcdefgh"), "abcdefgh");
}

static void test_distance(void **state)
{
    char longest[80];

    (void)state;
    assert_int_equal(xha_text_distance("list", "list", 3), 0);
    assert_int_equal(xha_text_distance("lsit", "list", 3), 2);
    assert_int_equal(xha_text_distance("", "abc", 3), 3);
    assert_int_equal(xha_text_distance("kitten", "sitting", 3), 3);
    assert_int_equal(xha_text_distance("kitten", "sitting", 2), 3);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(xha_text_distance(longest, longest, 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_cuts),
        cmocka_unit_test(test_distance),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
