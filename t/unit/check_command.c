/* Unit tests of command, upload, reply and lookup. */
#include <unistd.h>

#include "t/unit/talk.h"

/* ---- tables of what goes in and what comes out ----------------------- */

#define K250                                                                   \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                       \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                       \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                       \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                       \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K251 K250 "k"

#define BAD     "CLIENT_ERROR bad command line format\r\n"
#define CHUNK   "CLIENT_ERROR bad data chunk\r\n"
#define CLOSED  "<closed>"
#define DELTA   "CLIENT_ERROR invalid numeric delta argument\r\n"
#define EXPTIME "CLIENT_ERROR invalid exptime argument\r\n"
#define NOT_NUMBER                                                             \
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
#define DELETE_USAGE                                                           \
    "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"

struct exchange {
    const char *in, *expected;
};

static const struct exchange storage[] = {
    {"set k 5 0 1\r\nx\r\nget k\r\n", "STORED\r\nVALUE k 5 1\r\nx\r\nEND\r\n"},
    {"set k 0 0 0\r\n\r\nget k\r\n", "STORED\r\nVALUE k 0 0\r\n\r\nEND\r\n"},
    {"set k 0 0 1\nx\r\nget k\n", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"},
    {"set k 4294967295 0 1\r\nx\r\nget k\r\n",
     "STORED\r\nVALUE k 4294967295 1\r\nx\r\nEND\r\n"},
    {"set k 4294967297 0 1\r\nx\r\nget k\r\n",
     "STORED\r\nVALUE k 1 1\r\nx\r\nEND\r\n"},
    {"set k -1 0 1\r\nx\r\n", BAD},
    {"set k a 0 1\r\nx\r\nmn\r\n", BAD "MN\r\n"},
    {"set k 0 a 1\r\nx\r\nmn\r\n", BAD "MN\r\n"},
    {"mn\r\nset k 0 0 a\r\nmn\r\n", "MN\r\n" BAD CLOSED},
    {"set k 0 0 -1\r\nmn\r\n", BAD CLOSED},
    {"set k 0 0 2147483646\r\nmn\r\n", BAD CLOSED},
    {"set k 0 0\r\nmn\r\n", BAD CLOSED},
    {"set  0 0 4\r\nmn\r\n", BAD CLOSED},
    {"set k 0 0 noreply\r\nmn\r\n", BAD CLOSED},
    {"set k 0 0 x noreply\r\nmn\r\n", BAD CLOSED},
    {"set " K251 " 0 0 1\r\nx\r\nmn\r\n", BAD "MN\r\n"},
    {"set " K251 " 0 0 1 noreply\r\nx\r\nmn\r\n", "MN\r\n"},
    {"set " K250 " 0 0 1\r\nx\r\n", "STORED\r\n"},
    {"set k 0 0 1 noreply\r\nx\r\nget k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n"},
    {"set k 0 0 1 junk noreply\r\nx\r\nmn\r\n", "MN\r\n"},
    {"set k 0 0 1 noreply junk\r\nx\r\n", "STORED\r\n"},
    {"set k 0 0 1\r\nx\r\nset k 0 0 3\r\nabcde\r\nget k\r\n",
     "STORED\r\n" CHUNK CLOSED},
    {"set k 0 0 3\r\nabc\n\nmn\r\n", CHUNK CLOSED},
    {"set k 0 0 9\r\nabc\r\nmn\r\nmn\r\n", CHUNK CLOSED},
    {"set k 0 0 3 noreply\r\nabcxx\r\nmn\r\n", CLOSED},
    {"set k 0 0 0\r\nabcxx\r\nmn\r\n", CHUNK CLOSED},
    {"set k a 0 3\r\nabcde\r\nmn\r\n", BAD CLOSED},
    {"set k k k 0 0 3\r\nabc\r\nmn\r\n", BAD CLOSED},
    {"set " K251 " 0 0 1\r\nabcde\r\nmn\r\n", BAD CLOSED},
    {"set " K251 " 0 0 1 noreply\r\nabcde\r\nmn\r\n", CLOSED},
    {"set k 0 -1 1\r\nx\r\nget k\r\n", "STORED\r\nEND\r\n"},
    {"set k 0 4294967296 1\r\nx\r\nget k\r\n",
     "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"},
    {"set k 0 4294967295 1\r\nx\r\nget k\r\n", "STORED\r\nEND\r\n"},
    {"set k 0 9999999999 1\r\nx\r\nget k\r\n", "STORED\r\nEND\r\n"},
    {"add k 0 0 1\r\nx\r\nadd k 0 0 1\r\ny\r\nget k\r\n",
     "STORED\r\nNOT_STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"},
    {"replace k 0 0 1\r\nx\r\nset k 0 0 1\r\nx\r\nreplace k 3 0 1\r\ny\r\n"
     "get k\r\n",
     "NOT_STORED\r\nSTORED\r\nSTORED\r\nVALUE k 3 1\r\ny\r\nEND\r\n"},
    {"append k 0 0 1\r\nx\r\nset k 7 0 1\r\nb\r\nappend k 1 5 1\r\nc\r\n"
     "prepend k 2 0 1\r\na\r\nget k\r\n",
     "NOT_STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\nVALUE k 7 3\r\nabc\r\n"
     "END\r\n"},
    {"prepend k 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
    {"cas k 0 0 1 5\r\nx\r\n", "NOT_FOUND\r\n"},
    {"cas k 0 0 1\r\nx\r\nmn\r\n", BAD "MN\r\n"},
    {"cas k 0 0 1 noreply\r\nx\r\nmn\r\n", "MN\r\n"},
    {"cas k 0 0 1 x\r\nx\r\nmn\r\n", BAD "MN\r\n"},
    {"cas k 0 0 1 x\r\nxyz\r\nmn\r\n", BAD CLOSED},
    {"cas k 0 0\r\nmn\r\n", BAD CLOSED},
    {"ms k 4 T0\r\nmn\r\n\r\nmn\r\n", "HD\r\nMN\r\n"},
    {"ms k 2 T0\r\nmn\r\nmn\r\n", "HD\r\nMN\r\n"},
    {"ms k 1 T0\r\nabc\r\nmn\r\n", CHUNK CLOSED},
    {"ms k x\r\nmn\r\n", BAD CLOSED},
    {"set k 0 0 1\r\nx\r\ncas k 0 0 1 0\r\ny\r\ncas k 0 0 1 999\r\ny\r\n",
     "STORED\r\nEXISTS\r\nEXISTS\r\n"},
};

static const struct exchange retrieval[] = {
    {"get\r\nget \r\ngets\r\ngat\r\ngat 0\r\ngats 0 \r\n",
     BAD BAD BAD BAD BAD BAD},
    {"get noreply\r\n", "END\r\n"},
    {"set k 0 0 1\r\nx\r\nget k q  k noreply\r\n",
     "STORED\r\nVALUE k 0 1\r\nx\r\nVALUE k 0 1\r\nx\r\nEND\r\n"},
    {"gat x k\r\ngats 2147483648 k\r\n", EXPTIME EXPTIME},
    {"gat x k noreply\r\n", EXPTIME},
    {"set k 0 0 1\r\nx\r\ngat -1 k\r\nget k\r\n",
     "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\nEND\r\n"},
    {"set k 0 0 1\r\nx\r\nget k " K251 " k\r\nmn\r\n", BAD "\r\nMN\r\n"},
    {"get " K251 "\r\n", BAD "\r\n"},
    {"get " K251 " noreply\r\n", "\r\n"},
    {"gat 0 " K251 " noreply\r\n", BAD "\r\n"},
    {" get k\r\n", "ERROR\r\n"},
};

static const struct exchange other[] = {
    {"set n 6 0 2\r\n10\r\nincr n 1\r\ndecr n 2\r\nget n\r\n",
     "STORED\r\n11\r\n9\r\nVALUE n 6 2\r\n9 \r\nEND\r\n"},
    {"set n 0 0 1\r\n9\r\nincr n 1\r\ndecr n 99\r\n", "STORED\r\n10\r\n0\r\n"},
    {"set n 0 0 20\r\n18446744073709551615\r\nincr n 2\r\n", "STORED\r\n1\r\n"},
    {"set n 0 0 4\r\n12 a\r\nincr n 1\r\n", "STORED\r\n13\r\n"},
    {"set n 0 0 2\r\n-5\r\nincr n 1\r\n", "STORED\r\n" NOT_NUMBER},
    {"set n 0 0 0\r\n\r\nincr n 1\r\n", "STORED\r\n" NOT_NUMBER},
    {"incr n 1\r\ndecr n 1\r\n", "NOT_FOUND\r\nNOT_FOUND\r\n"},
    {"incr n\r\ndecr\r\nincr n noreply\r\n", BAD BAD},
    {"incr n x\r\nincr n -1\r\nincr n x noreply\r\n", DELTA DELTA},
    {"incr " K251 " x\r\nincr " K251 " 1 noreply\r\n", BAD},
    {"set n 0 0 1\r\n1\r\nincr n 1 junk noreply\r\nget n\r\n",
     "STORED\r\nVALUE n 0 1\r\n2\r\nEND\r\n"},
    {"set k 0 0 1\r\nx\r\ndelete k\r\ndelete k\r\n",
     "STORED\r\nDELETED\r\nNOT_FOUND\r\n"},
    {"delete k 0\r\ndelete k 0 noreply\r\ndelete noreply\r\nmn\r\n",
     "NOT_FOUND\r\nMN\r\n"},
    {"delete k 5\r\ndelete k 0 0\r\ndelete k 5 noreply\r\ndelete\r\n",
     DELETE_USAGE DELETE_USAGE BAD},
    {"delete " K251 "\r\n", BAD},
    {"set k 0 0 1\r\nx\r\ntouch k -1\r\nget k\r\ntouch k 0\r\n",
     "STORED\r\nTOUCHED\r\nEND\r\nNOT_FOUND\r\n"},
    {"touch k\r\ntouch\r\ntouch k x\r\ntouch k noreply\r\ntouch " K251 " 0\r\n",
     BAD BAD EXPTIME BAD},
    {"set k 0 0 1\r\nx\r\nflush_all\r\nget k\r\n", "STORED\r\nOK\r\nEND\r\n"},
    {"set k 0 0 1\r\nx\r\nflush_all 1\r\nget k\r\n", "STORED\r\nOK\r\nEND\r\n"},
    {"flush_all -3 junk\r\n  flush_all 0\r\nflush_all noreply\r\n",
     "OK\r\nOK\r\n"},
    {"flush_all x\r\nflush_all x noreply\r\n", EXPTIME},
    {"flush_all noreply junk\r\n", EXPTIME},
    {"version\r\nversion x noreply\r\n",
     "VERSION 1.6.45\r\nVERSION 1.6.45\r\n"},
    {"verbosity\r\nverbosity x\r\nverbosity noreply\r\nverbosity 0 1 2\r\n",
     BAD BAD "OK\r\n"},
    {"mn\r\nmn x\r\n mn\r\n", "MN\r\nMN\r\nERROR\r\n"},
    {"quit x\r\nmn\r\n", "<closed>"},
    {"a\r\n\r\nab\r\nfoo\r\nfoo noreply\r\n", BAD BAD "ERROR\r\nERROR\r\n"},
    {"GET / HTTP/1.1\r\nmn\r\n", "<closed>"},
    {"HTTP/1.1\r\n", "ERROR\r\n"},
    {"shutdown\r\nshutdown noreply\r\n",
     "SERVER_ERROR: shutdown not enabled\r\n"},
    {"cache_memlimit\r\ncache_memlimit x\r\ncache_memlimit noreply\r\n",
     "ERROR\r\nERROR\r\n"},
    {"cache_memlimit 7\r\ncache_memlimit 1000000001\r\n cache_memlimit 64\r\n",
     "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"
     "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\nOK\r\n"},
    {"watch none\r\n", "ERROR\r\n"},
};

static void exchange(const struct exchange *e, size_t cut)
{
    const char *got = talk_cut(e->in, strlen(e->in), cut);

    ck_assert_msg(strcmp(got, e->expected) == 0,
                  "cut %zu: %s\nexpected: %s\ngot: %s", cut, e->in, e->expected,
                  got);
    (void)talk("flush_all\r\n");
    clock_freeze(clock_ms() + 1000);
}

/* Answers do not depend on how the bytes arrive, but for those that an
 * over-long key takes back: they may have gone out before. */
static void exchanges(const struct exchange *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        exchange(&e[i], SIZE_MAX / 2);
        for (size_t cut = 1; cut < 12; cut++) {
            exchange(&e[i], cut);
        }
    }
}

START_TEST(storage_commands_answer_as_documented)
{
    exchanges(storage, COUNT_OF(storage));
}
END_TEST

/* The same lines as a plain command would have run. */
START_TEST(a_refused_value_runs_nothing)
{
    static const char *const lines[] = {
        "set k 0 0 abc\r\nflush_all\r\n",
        "set k 0 0 3\r\nabcdefgh\r\nflush_all\r\n",
        "set k 0 0 5\r\nabc\r\nx\r\nflush_all\r\n",
        "set k x 0 3\r\nabcdefgh\r\nflush_all\r\n",
        "ms k abc\r\nflush_all\r\n",
        "append k 0 0 2000000\r\nflush_all\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        for (size_t cut = 1; cut < 60; cut++) {
            (void)talk("set k 0 0 1\r\nx\r\n");
            (void)talk_cut(lines[i], strlen(lines[i]), cut);
            ck_assert_str_eq(talk("get k\r\n"), "VALUE k 0 1\r\nx\r\nEND\r\n");
        }
    }
    ck_assert_uint_eq(stat_value("stats\r\n", "cmd_flush"), 0);
}
END_TEST

START_TEST(retrieval_commands_answer_as_documented)
{
    exchanges(retrieval, COUNT_OF(retrieval));
}
END_TEST

START_TEST(other_commands_answer_as_documented)
{
    exchanges(other, COUNT_OF(other));
}
END_TEST

START_TEST(gets_gives_the_cas_that_cas_accepts)
{
    char line[100], expected[100];
    unsigned long long cas;

    ck_assert_str_eq(talk("set k 1 0 1\r\nx\r\n"), "STORED\r\n");
    ck_assert_int_eq(sscanf(talk("gets k\r\n"), "VALUE k 1 1 %llu", &cas), 1);
    (void)snprintf(expected, sizeof(expected),
                   "VALUE k 1 1 %llu\r\nx\r\nEND\r\n", cas);
    ck_assert_str_eq(talk("gats 0 k\r\n"), expected);
    (void)snprintf(line, sizeof(line), "cas k 2 0 1 %llu\r\ny\r\n", cas);
    ck_assert_str_eq(talk(line), "STORED\r\n");
    ck_assert_str_eq(talk(line), "EXISTS\r\n");
    ck_assert_str_eq(talk("get k\r\n"), "VALUE k 2 1\r\ny\r\nEND\r\n");
}
END_TEST

/* "set <key> 0 0 <n>" with n bytes 'v'; malloced. */
static char *big_set(const char *verb, const char *key, size_t n, size_t *len)
{
    char *text = malloc(n + 400);
    int head = sprintf(text, "%s %s 0 0 %zu\r\n", verb, key, n);

    memset(text + head, 'v', n);
    memcpy(text + head + n, "\r\n", 3);
    *len = (size_t)head + n + 2;
    return text;
}

/* ---- large values ------------------------------------------------------- */

static void large_value_comes_back(size_t n, size_t cut)
{
    size_t len;
    char *in = big_set("set", "big", n, &len);
    char head[64];
    size_t head_len =
        (size_t)snprintf(head, sizeof(head), "VALUE big 0 %zu\r\n", n);

    ck_assert_str_eq(talk_cut(in, len, cut), "STORED\r\n");
    (void)talk("get big\r\n");
    ck_assert_uint_eq(answered, head_len + n + 7);
    ck_assert_mem_eq(answers, head, head_len);
    ck_assert_mem_eq(answers + head_len, in + len - n - 2, n);
    ck_assert_str_eq(answers + head_len + n, "\r\nEND\r\n");
    free(in);
}

START_TEST(values_of_all_sizes_come_back)
{
    static const size_t sizes[] = {2047,   2048,   2049,   16384,  65535,
                                   100000, 524288, 600000, 1000000};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        large_value_comes_back(sizes[i], SIZE_MAX / 2);
        large_value_comes_back(sizes[i], 16384);
        large_value_comes_back(sizes[i], 777);
    }
}
END_TEST

/* "get" and `key`, which begins with a space, so many times. */
static void get_line(char *line, const char *key, size_t times)
{
    size_t n = strlen(key);

    memcpy(line, "get", 3);
    line += 3;
    for (size_t i = 0; i < times; i++) {
        memcpy(line, key, n);
        line += n;
    }
    memcpy(line, "\r\n", 3);
}

START_TEST(many_large_values_in_one_get)
{
    enum { KEYS = 200, BYTES = 50000 };
    char get[4 + KEYS * 4 + 3];
    size_t len, per_key = strlen("VALUE big 0 50000\r\n") + BYTES + 2;
    char *in = big_set("set", "big", BYTES, &len);

    ck_assert_str_eq(talk_cut(in, len, len), "STORED\r\n");
    get_line(get, " big", KEYS);
    (void)talk(get);
    ck_assert_uint_eq(answered, KEYS * per_key + 5);
    for (size_t i = 0; i < KEYS; i++) {
        ck_assert_mem_eq(answers + i * per_key, "VALUE big 0 50000\r\nv", 20);
    }
    free(in);
}
END_TEST

START_TEST(a_touch_is_done_once_though_output_is_full)
{
    size_t len, big = 700000;
    char *in = big_set("set", "big", big, &len);

    ck_assert_str_eq(talk_cut(in, len, len), "STORED\r\n");
    (void)talk("get big big\r\ngat -1 big\r\nget big\r\n");
    ck_assert_uint_eq(answered,
                      3 * (strlen("VALUE big 0 700000\r\n") + big + 2) + 15);
    ck_assert_uint_eq(stat_value("stats\r\n", "touch_hits"), 1);
    free(in);
}
END_TEST

START_TEST(multiget_of_small_values_outgrows_the_buffer)
{
    enum { KEYS = 300, BYTES = 2000 };
    char get[4 + KEYS * 3 + 3];
    size_t len, per_key = strlen("VALUE kk 0 2000\r\n") + BYTES + 2;
    char *in = big_set("set", "kk", BYTES, &len);

    ck_assert_str_eq(talk_cut(in, len, len), "STORED\r\n");
    get_line(get, " kk", KEYS);
    (void)talk(get);
    ck_assert_uint_eq(answered, KEYS * per_key + 5);
    ck_assert_uint_eq(stat_value("stats\r\n", "get_hits"), KEYS);
    free(in);
}
END_TEST

START_TEST(sent_values_outlive_their_replacement)
{
    struct request req;
    struct upload upload;
    size_t len, used;
    char *in = big_set("set", "big", 5000, &len);

    ck_assert_str_eq(talk_cut(in, len, len), "STORED\r\n");
    ck_assert(text_parse("get big\r\n", 9, &req, &used) == TEXT_OK);
    ck_assert(command_run(&cmd, 9, &req, "", 0, &used, &upload) ==
              COMMAND_DONE);
    free(in);
    in = malloc(6000);
    memcpy(in, "set big 0 0 5000\r\n", 18);
    memset(in + 18, 'w', 5000);
    memcpy(in + 5018, "\r\n", 3);
    answered = 0;
    {
        size_t line;
        struct request set;

        ck_assert(text_parse(in, 5020, &set, &line) == TEXT_OK);
        ck_assert(command_run(&cmd, 9, &set, in + line, 5020 - line, &used,
                              &upload) == COMMAND_DONE);
    }
    flush();
    ck_assert_mem_eq(answers, "VALUE big 0 5000\r\nvvvv", 22);
    ck_assert(memchr(answers + 18, 'w', 5000) == NULL);
    free(in);
}
END_TEST

START_TEST(too_large_a_value_is_swallowed_then_refused)
{
    static const char *const verbs[] = {"set", "add", "replace", "append",
                                        "prepend"};
    size_t len;

    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        char *in = big_set(verbs[i], "k", 1100000, &len);

        (void)talk("set k 0 0 1\r\nx\r\n");
        ck_assert_str_eq(talk_cut(in, len - 1, 16384), "");
        ck_assert_str_eq(talk_cut(in, len, 16384),
                         "SERVER_ERROR object too large for cache\r\n");
        ck_assert_str_eq(talk("get k\r\n"),
                         i == 0 ? "END\r\n" : "VALUE k 0 1\r\nx\r\nEND\r\n");
        free(in);
    }
    ck_assert_uint_eq(stat_value("stats\r\n", "store_too_large"), 10);
    ck_assert_uint_eq(stat_value("stats\r\n", "cmd_set"), 5);
}
END_TEST

START_TEST(what_is_swallowed_must_end_in_a_line_end)
{
    static const size_t cuts[] = {SIZE_MAX / 2, 16384, 1, 2, 3};
    size_t len;
    char *in = big_set("add", "k", 1100000, &len);

    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        in[len - 2] = '\r';
        in[len - 1] = 'x';
        ck_assert_str_eq(talk_cut(in, len, cuts[i]),
                         "SERVER_ERROR object too large for cache\r\n" CLOSED);
        in[len - 2] = 'x';
        in[len - 1] = '\n';
        ck_assert_str_eq(talk_cut(in, len, cuts[i]),
                         "SERVER_ERROR object too large for cache\r\n" CLOSED);
    }
    free(in);
}
END_TEST

START_TEST(append_beyond_the_limit_is_not_stored)
{
    size_t len;
    char *in = big_set("set", "k", 900000, &len);

    ck_assert_str_eq(talk_cut(in, len, 16384), "STORED\r\n");
    free(in);
    in = big_set("append", "k", 900000, &len);
    ck_assert_str_eq(talk_cut(in, len, 16384), "NOT_STORED\r\n");
    free(in);
}
END_TEST

START_TEST(a_bad_tail_of_an_upload_leaves_the_old_value)
{
    size_t len;
    char *in = big_set("set", "k", 30000, &len);

    (void)talk("set k 0 0 1\r\nx\r\n");
    in[len - 1] = 'x';
    ck_assert_str_eq(talk_cut(in, len, 1000), CHUNK CLOSED);
    in[len - 1] = '\n';
    in[len - 2] = 'x';
    ck_assert_str_eq(talk_cut(in, len, 1000), CHUNK CLOSED);
    ck_assert_str_eq(talk("get k\r\n"), "VALUE k 0 1\r\nx\r\nEND\r\n");
    free(in);
}
END_TEST

START_TEST(incr_of_a_chained_value_is_not_numeric)
{
    size_t len;
    char *in = big_set("set", "k", 700000, &len);

    memset(in + len - 700002, '1', 700000);
    ck_assert_str_eq(talk_cut(in, len, 16384), "STORED\r\n");
    ck_assert_str_eq(talk("incr k 1\r\n"), NOT_NUMBER);
    free(in);
}
END_TEST

START_TEST(without_evictions_memory_runs_out)
{
    static const char out_of_memory[] =
        "SERVER_ERROR out of memory storing object\r\n";
    struct store_config config = store_config_default();
    size_t refused = 0;

    config.memory_limit = 2 * MIB;
    config.evict = false;
    start_with(&config);
    for (int i = 0; i < 100 && refused == 0; i++) {
        char key[16];
        size_t len;
        char *in;

        (void)snprintf(key, sizeof(key), "k%d", i);
        in = big_set("set", key, 100000, &len);
        refused = strcmp(talk_cut(in, len, 16384), out_of_memory) == 0;
        ck_assert(refused || strcmp(answers, "STORED\r\n") == 0);
        free(in);
    }
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(stat_value("stats\r\n", "store_no_memory"), 1);
    stop();
}
END_TEST

/* ---- expiry, switches, counters -------------------------------------------
 */

START_TEST(items_expire_by_the_clock)
{
    (void)talk("set a 0 2 1\r\nx\r\nset b 0 1800000100 1\r\nx\r\n");
    (void)talk("set c 0 0 1\r\nx\r\ntouch c 5\r\n");
    clock_freeze(NOW_MS + 1000);
    ck_assert_str_eq(talk("get a\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
    clock_freeze(NOW_MS + 2000);
    ck_assert_str_eq(talk("get a\r\n"), "END\r\n");
    ck_assert_uint_eq(stat_value("stats\r\n", "get_expired"), 1);
    clock_freeze(NOW_MS + 5000);
    ck_assert_str_eq(talk("get c\r\n"), "END\r\n");
    clock_freeze(NOW_MS + 99000);
    ck_assert_str_eq(talk("get b\r\n"), "VALUE b 0 1\r\nx\r\nEND\r\n");
    clock_freeze(NOW_MS + 100000);
    ck_assert_str_eq(talk("get b\r\n"), "END\r\n");
}
END_TEST

START_TEST(a_delayed_flush_comes_one_second_early)
{
    (void)talk("set a 0 0 1\r\nx\r\nflush_all 3\r\n");
    clock_freeze(NOW_MS + 1000);
    store_tick();
    ck_assert_str_eq(talk("get a\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
    clock_freeze(NOW_MS + 2000);
    store_tick();
    ck_assert_str_eq(talk("get a\r\n"), "END\r\n");
    ck_assert_uint_eq(stat_value("stats\r\n", "get_flushed"), 1);
}
END_TEST

START_TEST(switches_forbid_commands)
{
    settings.flush_enabled = false;
    settings.dump_enabled = false;
    ck_assert_str_eq(talk("flush_all\r\nflush_all x\r\nflush_all noreply\r\n"),
                     "CLIENT_ERROR flush_all not allowed\r\n"
                     "CLIENT_ERROR flush_all not allowed\r\n");
    ck_assert_str_eq(talk("stats detail on\r\nstats cachedump 1 1\r\n"),
                     "CLIENT_ERROR stats detail not allowed\r\n"
                     "CLIENT_ERROR stats cachedump not allowed\r\n");
    settings.flush_enabled = true;
    settings.dump_enabled = true;
    ck_assert_uint_eq(stat_value("stats\r\n", "cmd_flush"), 3);
}
END_TEST

START_TEST(shutdown_reaches_the_host_when_enabled)
{
    settings.shutdown_command = true;
    ck_assert_str_eq(talk("shutdown x\r\n"),
                     "CLIENT_ERROR invalid shutdown mode\r\n");
    ck_assert_str_eq(talk("shutdown noreply\r\nshutdown graceful noreply\r\n"),
                     "");
    ck_assert_int_eq(stopped, 0);
    ck_assert_str_eq(talk("shutdown\r\nmn\r\n"), "<closed>");
    ck_assert_int_eq(stopped, 1);
    ck_assert_str_eq(talk("shutdown grace\r\n"), "<closed>");
    ck_assert_int_eq(stopped, 2);
    settings.shutdown_command = false;
}
END_TEST

START_TEST(verbosity_is_clamped_to_two)
{
    ck_assert_str_eq(talk("verbosity 4294967295 noreply\r\n"), "");
    ck_assert_int_eq(atomic_load(&log_verbosity), 2);
    atomic_store(&log_verbosity, 0);
}
END_TEST

START_TEST(without_cas_clients_see_zero)
{
    struct store_config config = store_config_default();

    config.cas = false;
    start_with(&config);
    (void)talk("set k 0 0 1\r\nx\r\n");
    ck_assert_str_eq(talk("gets k\r\n"), "VALUE k 0 1 0\r\nx\r\nEND\r\n");
    ck_assert_str_eq(talk("cas k 0 0 1 0\r\ny\r\ncas k 0 0 1 1\r\ny\r\n"),
                     "EXISTS\r\nEXISTS\r\n");
    stop();
}
END_TEST

START_TEST(commands_count_as_documented)
{
    static const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"cmd_get", 3},      {"get_hits", 2},   {"get_misses", 1},
        {"cmd_set", 8},      {"cmd_touch", 4},  {"touch_hits", 2},
        {"touch_misses", 2}, {"incr_hits", 1},  {"incr_misses", 1},
        {"decr_hits", 1},    {"cas_misses", 1}, {"cas_badval", 1},
        {"delete_hits", 1},  {"cmd_flush", 1},  {"delete_misses", 1},
        {"cas_hits", 0},     {"curr_items", 2}, {"total_items", 4},
    };

    (void)talk("set a 0 0 1\r\n1\r\nset b 0 0 1\r\nx\r\nadd a 0 0 1\r\nx\r\n"
               "append q 0 0 1\r\nx\r\ncas q 0 0 1 1\r\nx\r\n"
               "cas a 0 0 1 99\r\nx\r\nset a 0 0 1\r\n1xy\r\n");
    (void)talk("set c 0 0 1\r\nx\r\n"
               "get a b q\r\ngat 0 a q\r\ntouch a 0\r\ntouch q 0\r\n"
               "incr a 1\r\ndecr a 1\r\nincr q 1\r\nincr b 1\r\n"
               "delete c\r\ndelete c\r\nflush_all x\r\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t got = stat_value("stats\r\n", rows[i].name);

        if (strcmp(rows[i].name, "total_items") == 0) {
            ck_assert_uint_ge(got, 3);
            continue;
        }
        ck_assert_msg(got == rows[i].value, "%s is %llu", rows[i].name,
                      (unsigned long long)got);
    }
    ck_assert_uint_eq(stat_value("stats slabs\r\n", "1:cmd_set"), 8);
    ck_assert_uint_eq(stat_value("stats slabs\r\n", "1:get_hits"), 2);
    ck_assert_uint_eq(stat_value("stats slabs\r\n", "1:touch_hits"), 2);
    ck_assert_uint_eq(stat_value("stats slabs\r\n", "1:delete_hits"), 1);
    ck_assert_uint_eq(stat_value("stats items\r\n", "items:1:number"), 2);
    ck_assert_uint_eq(stat_value("stats items\r\n", "items:1:hits_to_hot"), 2);
}
END_TEST

/* ---- lines of -vv
 * ------------------------------------------------------------ */

START_TEST(vv_lines_are_printed)
{
    char text[2048] = "";
    FILE *file = tmpfile();
    int saved = dup(2);

    ck_assert_int_eq(dup2(fileno(file), 2), 2);
    atomic_store(&log_verbosity, 3);
    (void)talk("set k 0 0 1\r\nx\r\nget k q\r\nset k 0 0 1 noreply\r\ny\r\n"
               "cas k 0 0 1 99\r\nz\r\ndelete k\r\nmn\nfoo\r\n");
    atomic_store(&log_verbosity, 0);
    ck_assert_int_eq(dup2(saved, 2), 2);
    close(saved);
    rewind(file);
    ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
    (void)fclose(file);
    ck_assert_str_eq(text, "<9 set k 0 0 1\n> NOT FOUND k\n>9 STORED\n"
                           "<9 get k q\n> FOUND KEY k\n>9 sending key k\n"
                           "> NOT FOUND q\n>9 END\n"
                           "<9 set k 0 0 1 noreply\n> FOUND KEY k\n"
                           ">9 NOREPLY STORED\n"
                           "<9 cas k 0 0 1 99\n> FOUND KEY k\n"
                           "CAS:  failure: expected 2, got 99\n>9 EXISTS\n"
                           "<9 delete k\n> FOUND KEY k\n<9 m\n"
                           ">9 CLIENT_ERROR bad command line format\n"
                           "<9 foo\n>9 ERROR\n");
}
END_TEST

/* ---- pieces of a get line
 * ------------------------------------------------------ */

START_TEST(a_get_line_in_pieces_has_one_end)
{
    struct request req;
    struct upload upload;
    size_t used;
    bool last;

    (void)talk("set a 0 0 1\r\nx\r\n");
    answered = 0;
    ck_assert(text_parse_get_head("get a a par", 11, &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, 8);
    ck_assert(command_run(&cmd, 9, &req, "", 0, &used, &upload) ==
              COMMAND_DONE);
    ck_assert(text_parse_more_keys("partial a\r\nmn", 13, &req, &used, &last) ==
              TEXT_OK);
    ck_assert(last);
    ck_assert_uint_eq(used, 11);
    ck_assert(command_run(&cmd, 9, &req, "", 0, &used, &upload) ==
              COMMAND_DONE);
    flush();
    ck_assert_str_eq(answers, "VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\n"
                              "VALUE a 0 1\r\nx\r\nEND\r\n");
}
END_TEST

static Suite *command_suite(void)
{
    Suite *suite = suite_create("command");
    TCase *tc = tcase_create("with a cache of defaults");
    TCase *own = tcase_create("with a cache of its own");

    tcase_add_checked_fixture(tc, start, stop);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, storage_commands_answer_as_documented);
    tcase_add_test(tc, a_refused_value_runs_nothing);
    tcase_add_test(tc, retrieval_commands_answer_as_documented);
    tcase_add_test(tc, other_commands_answer_as_documented);
    tcase_add_test(tc, gets_gives_the_cas_that_cas_accepts);
    tcase_add_test(tc, values_of_all_sizes_come_back);
    tcase_add_test(tc, many_large_values_in_one_get);
    tcase_add_test(tc, a_touch_is_done_once_though_output_is_full);
    tcase_add_test(tc, multiget_of_small_values_outgrows_the_buffer);
    tcase_add_test(tc, sent_values_outlive_their_replacement);
    tcase_add_test(tc, too_large_a_value_is_swallowed_then_refused);
    tcase_add_test(tc, what_is_swallowed_must_end_in_a_line_end);
    tcase_add_test(tc, append_beyond_the_limit_is_not_stored);
    tcase_add_test(tc, a_bad_tail_of_an_upload_leaves_the_old_value);
    tcase_add_test(tc, incr_of_a_chained_value_is_not_numeric);
    tcase_add_test(tc, items_expire_by_the_clock);
    tcase_add_test(tc, a_delayed_flush_comes_one_second_early);
    tcase_add_test(tc, switches_forbid_commands);
    tcase_add_test(tc, shutdown_reaches_the_host_when_enabled);
    tcase_add_test(tc, verbosity_is_clamped_to_two);
    tcase_add_test(tc, commands_count_as_documented);
    tcase_add_test(tc, vv_lines_are_printed);
    tcase_add_test(tc, a_get_line_in_pieces_has_one_end);
    suite_add_tcase(suite, tc);
    tcase_add_test(own, without_evictions_memory_runs_out);
    tcase_add_test(own, without_cas_clients_see_zero);
    suite_add_tcase(suite, own);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(command_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
