/* Unit tests of the meta commands: what goes in and what comes out. */
#include "settings.h"
#include "t/unit/talk.h"

#define BAD    "CLIENT_ERROR bad command line format\r\n"
#define CHUNK  "CLIENT_ERROR bad data chunk\r\n"
#define CLOSED "<closed>"
#define NOT_NUMBER                                                             \
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
#define BAD_FLAG  "CLIENT_ERROR invalid flag\r\n"
#define TWICE     "CLIENT_ERROR duplicate flag\r\n"
#define BAD_MA    "CLIENT_ERROR invalid or duplicate flag\r\n"
#define BAD_KEY   "CLIENT_ERROR error decoding key\r\n"
#define BAD_TOKEN "CLIENT_ERROR bad token in command line format\r\n"
#define BAD_MS    "CLIENT_ERROR invalid mode for ms M token\r\n"
#define BAD_MODE  "CLIENT_ERROR invalid mode for ma M token\r\n"

struct exchange {
    const char *in, *expected;
};

/* Versions count from 1. */
static const struct exchange gets[] = {
    {"mg k\r\nmg k v k O7 s f t\r\nmg k q\r\n", "EN\r\nEN kk O7\r\n"},
    {"set k 5 0 2\r\nab\r\nmg k\r\nmg k v\r\nmg k q\r\n",
     "STORED\r\nHD\r\nVA 2\r\nab\r\nHD\r\n"},
    {"set k 5 0 2\r\nab\r\nmg k s v c f t k Oxyz h l\r\n",
     "STORED\r\nVA 2 s2 c1 f5 t-1 kk Oxyz h0 l0\r\nab\r\n"},
    {"set k 0 0 0\r\n\r\nmg k v O\r\n", "STORED\r\nVA 0 O\r\n\r\n"},
    {"set k 0 0 1\r\nx\r\nmg k C1 v c\r\nmg k C2 v c\r\n",
     "STORED\r\nHD c1\r\nVA 1 c1\r\nx\r\n"},
    {"set k 0 0 1\r\nx\r\nmg k h u\r\nmg k h\r\nmg k h\r\n",
     "STORED\r\nHD h0\r\nHD h0\r\nHD h1\r\n"},
    {"set k 0 0 1\r\nx\r\nmg k T30 t\r\nmg k t T60\r\nmg k t T0\r\nmg k t\r\n",
     "STORED\r\nHD t30\r\nHD t30\r\nHD t60\r\nHD t-1\r\n"},
    {"set k 0 0 1\r\nx\r\nmg k T-1 v\r\nmg k\r\n",
     "STORED\r\nVA 1\r\nx\r\nEN\r\n"},
    {"set k 0 30 1\r\nx\r\nmg k R30\r\nmg k R31\r\nmg k R31\r\nget k\r\nmg "
     "k\r\n",
     "STORED\r\nHD\r\nHD W\r\nHD Z\r\nVALUE k 0 1\r\nx\r\nEND\r\nHD Z\r\n"},
    {"set k 0 0 1\r\nx\r\nmg k R9999\r\n", "STORED\r\nHD\r\n"},
    /* As any time: of long ago, never, and a date. */
    {"set k 0 30 1\r\nx\r\nmg k R-1\r\nmg k R0\r\nmg k R2147483647\r\n",
     "STORED\r\nHD\r\nHD\r\nHD W\r\n"},
    {"set k 0 2147483647 1\r\nx\r\nmg k R2147483647\r\n", "STORED\r\nHD\r\n"},
    {"set k 0 30 1\r\nx\r\nmg k T-1 R0\r\n", "STORED\r\nHD\r\n"},
    {"set k 0 30 1\r\nx\r\nmg k T100 R50 t\r\nmg k T30 R50 t\r\n",
     "STORED\r\nHD t100\r\nHD t30 W\r\n"},
    {"set k 0 30 1\r\nx\r\nmg k R50 T100 t\r\n", "STORED\r\nHD t100 W\r\n"},
    {"mg k N30 t v\r\nmg k N30 t v\r\nmg k k\r\n",
     "VA 0 t30 W\r\n\r\nVA 0 t30 Z\r\n\r\nHD kk Z\r\n"},
    {"mg k t N30 s f\r\nmg k h\r\n", "HD t-1 s0 f0 W\r\nHD h1 Z\r\n"},
    {"mg k N30 T60 t\r\nmg l T60 N30 t\r\nmg k t\r\nmg l t\r\n",
     "HD t60 W\r\nHD t30 W\r\nHD t60 Z\r\nHD t30 Z\r\n"},
    {"mg k E77 N0 c t\r\nmg k c E5\r\nmg l E5\r\n",
     "HD c77 t-1 W\r\nHD c77 Z\r\nEN\r\n"},
    {"mg k N30\r\nms k 1\r\nx\r\nmg k v\r\n", "HD W\r\nHD\r\nVA 1\r\nx\r\n"},
    {"mg Zm9v b k\r\nms Zm9v 1 b\r\nx\r\nmg foo k\r\nmg Zm9v k b v\r\n",
     "EN kZm9v b\r\nHD\r\nHD kZm9v b\r\nVA 1 kZm9v b\r\nx\r\n"},
    {"set foo 0 0 1\r\nx\r\nmg Zm!9v b k\r\n", "STORED\r\nHD kfoo\r\n"},
    {"mg YSBi b N9 k\r\nmg YSBi b k\r\n", "HD kYSBi b W\r\nHD kYSBi b Z\r\n"},
    {"mg Zm9v b N9 k\r\n", "HD kfoo W\r\n"},
    {"mg\r\nmg \r\nmg k !\r\nmg k c !\r\n", BAD BAD BAD BAD},
    {"mg k Z q\r\nmg k c c\r\nmg k b\r\nmg k Cx\r\n",
     BAD_FLAG TWICE BAD_KEY BAD_TOKEN},
    {"mg k M N- P L\r\nmg k Mzz\r\n", "HD W\r\nHD Z\r\n"},
    {"mg k S30\r\nMG k\r\n mg k\r\nmgk\r\n",
     BAD_FLAG "ERROR\r\nERROR\r\nERROR\r\n"},
    {"mn\r\nmn x\r\n", "MN\r\nMN\r\n"},
};

static const struct exchange sets[] = {
    {"ms k 2\r\nab\r\nmg k v f t\r\n", "HD\r\nVA 2 f0 t-1\r\nab\r\n"},
    {"ms k 2 T30 F7 c k O3 s b\r\nab\r\n", BAD_KEY},
    {"ms k 2 T30 F7 c k O3 s f t v h l\r\nab\r\nmg k t f\r\n",
     "HD c1 kk O3 s2\r\nHD t30 f7\r\n"},
    {"ms k 2 q\r\nab\r\nmg k v\r\nms k 2 q ME\r\nxx\r\n",
     "VA 2\r\nab\r\nNS\r\n"},
    {"ms k 1 MR c\r\nx\r\nms k 1 ME\r\nx\r\nms k 1 ME c\r\ny\r\n"
     "ms k 1 MR\r\nz\r\nmg k v\r\n",
     "NS c0\r\nHD\r\nNS c0\r\nHD\r\nVA 1\r\nz\r\n"},
    {"ms k 1 MS\r\nx\r\nms k 1 MSET\r\ny\r\nms k 1 Ms\r\nz\r\nms k 1 M\r\nz\r\n"
     "mg k v\r\n",
     "HD\r\nHD\r\n" BAD_MS BAD_MS "VA 1\r\ny\r\n"},
    {"ms k 1 MA s\r\nx\r\nms k 2 F5\r\nbc\r\nms k 1 MA s F9 T9\r\nd\r\n"
     "ms k 1 MP s c\r\na\r\nmg k v f t\r\n",
     "NS s1\r\nHD\r\nHD s3\r\nHD s4 c3\r\nVA 4 f5 t-1\r\nabcd\r\n"},
    {"ms k 1 MA N30 F5 T60 s c\r\nx\r\nms k 1 MA N90\r\ny\r\nmg k v t f\r\n",
     "HD s1 c1\r\nHD\r\nVA 2 t30 f5\r\nxy\r\n"},
    {"ms k 1 MP N30\r\nx\r\nmg k v t\r\n", "HD\r\nVA 1 t30\r\nx\r\n"},
    {"ms k 1 N30\r\nx\r\nms l 1 N30 MR\r\nx\r\nmg k t\r\n",
     "HD\r\nNS\r\nHD t-1\r\n"},
    {"ms k 1 C1 c\r\nx\r\nms k 1 c\r\nx\r\nms k 1 C1 c\r\ny\r\n"
     "ms k 1 C1 c q\r\nz\r\nmg k v\r\n",
     "NF c0\r\nHD c1\r\nHD c2\r\nEX c0\r\nVA 1\r\ny\r\n"},
    {"ms k 1\r\nx\r\nms k 1 C0\r\ny\r\nms l 1 C0\r\ny\r\nms k 1 MR C1\r\nz\r\n"
     "ms k 1 MR C1\r\ny\r\nms l 1 MR C1\r\ny\r\nms l 1 ME C9\r\nw\r\n",
     "HD\r\nEX\r\nNF\r\nHD\r\nEX\r\nNF\r\nHD\r\n"},
    {"ms k 1\r\nb\r\nms k 1 MA C1\r\nc\r\nms k 1 MP C1\r\na\r\n"
     "ms l 1 MA C1\r\nc\r\nmg k v\r\n",
     "HD\r\nHD\r\nEX\r\nNS\r\nVA 2\r\nbc\r\n"},
    {"ms k 1 E99 c\r\nx\r\nms k 1 C99 E7 c\r\ny\r\nmg k c v\r\n"
     "ms k 1 E0 c\r\nz\r\n",
     "HD c99\r\nHD c7\r\nVA 1 c7\r\ny\r\nHD c3\r\n"},
    {"ms k 1 E9\r\nx\r\nms k 1 MA E8 c\r\ny\r\nms k 1 MA N0 c\r\nz\r\n"
     "ms l 1 MA N0 E6 c\r\nx\r\ngets k\r\n",
     "HD\r\nHD c8\r\nHD c3\r\nHD c6\r\nVALUE k 0 3 3\r\nxyz\r\nEND\r\n"},
    {"ms k 1 T30 E50\r\nx\r\nms k 1 C40 I T9 F3 c\r\ny\r\nmg k v t f\r\n"
     "ms k 1 C1 I\r\nz\r\nmg k v t\r\n",
     "HD\r\nHD c2\r\nVA 1 t30 f3 X W\r\ny\r\nHD\r\nVA 1 t30 Z X\r\nz\r\n"},
    {"ms k 1 E50\r\nx\r\nms k 1 C51 I\r\ny\r\nms k 1 C0 I\r\ny\r\n"
     "ms k 1 MA C4 I\r\ny\r\nms l 1 C4 I\r\ny\r\nms k 1 MR C50 I\r\nz\r\n"
     "mg k v\r\n",
     "HD\r\nEX\r\nEX\r\nEX\r\nNF\r\nHD\r\nVA 1\r\nz\r\n"},
    {"ms Zm9v 2 b k\r\nxx\r\nmg foo k\r\nms foo 2\r\nxx\r\nmg foo k\r\n",
     "HD kZm9v b\r\nHD kZm9v b\r\nHD\r\nHD kfoo\r\n"},
    {"ms YQpi 1 b\r\nx\r\nmg YQpi b k v\r\n", "HD\r\nVA 1 kYQpi b\r\nx\r\n"},
    {"ms Zm9v 1 b\r\n9\r\nms Zm9v 1 b MA\r\n9\r\nmg foo k v\r\n",
     "HD\r\nHD\r\nVA 2 kfoo\r\n99\r\n"},
    {"ms k 2 Z\r\nab\r\nms k 2 c c\r\nab\r\nms k 2 Cx\r\nab\r\n"
     "ms k 2 O12345678901234567890123456789012\r\nab\r\nmg k\r\n",
     BAD_FLAG TWICE BAD_TOKEN "CLIENT_ERROR opaque token too long\r\nEN\r\n"},
    {"ms k 4 !\r\nmn\r\n\r\nmn\r\n", BAD "MN\r\n"},
    {"ms\r\nmn\r\n", BAD CLOSED},
    {"ms k\r\nmn\r\n", BAD CLOSED},
    {"ms k S5\r\nmn\r\n", BAD CLOSED},
    {"ms k -1\r\nmn\r\n", BAD CLOSED},
    {"ms k 2147483646\r\nmn\r\n", BAD CLOSED},
    {"ms k 1\r\nx\r\nms k 1 q\r\nxyz\r\nmg k v\r\n", "HD\r\n" CHUNK CLOSED},
    {"ms k 1 Z\r\nxyz\r\nmn\r\n", BAD_FLAG CLOSED},
};

static const struct exchange deletes[] = {
    {"md k\r\nmd k q k O1\r\nms k 1\r\nx\r\nmd k k O1 s\r\nmg k\r\n",
     "NF\r\nNF kk O1\r\nHD\r\nHD kk O1\r\nEN\r\n"},
    {"ms k 1\r\nx\r\nmd k q\r\nmg k\r\n", "HD\r\nEN\r\n"},
    {"ms k 1\r\nx\r\nmd k C2 q\r\nmd k C0\r\nmd k C1 q\r\nmg k\r\n",
     "HD\r\nEX\r\nEX\r\nEN\r\n"},
    {"ms k 1 T30 F5\r\nx\r\nmd k I T60\r\nmg k c t v f\r\nmg k c t\r\n"
     "mg k k\r\nget k\r\n",
     "HD\r\nHD\r\nVA 1 c2 t60 f5 X W\r\nx\r\nHD c2 t60 Z X\r\nHD kk Z X\r\n"
     "VALUE k 5 1\r\nx\r\nEND\r\n"},
    {"ms k 1 T30\r\nx\r\nmd k I\r\nmg k t\r\nmd k I\r\nmg k t\r\n",
     "HD\r\nHD\r\nHD t30 X W\r\nHD\r\nHD t30 X W\r\n"},
    {"ms k 1\r\nx\r\nmd k I E77\r\nmg k c\r\nmd k I C77 E1\r\nmg k c v\r\n",
     "HD\r\nHD\r\nHD c77 X W\r\nHD\r\nVA 1 c1 X W\r\nx\r\n"},
    {"ms k 1\r\nx\r\nmd k I\r\nset k 0 0 1\r\ny\r\nmg k\r\n",
     "HD\r\nHD\r\nSTORED\r\nHD\r\n"},
    {"ms k 1\r\n5\r\nmd k I\r\nincr k 1\r\nmg k v\r\nincr k 9\r\nmg k v\r\n",
     "HD\r\nHD\r\n6\r\nVA 1 X W\r\n6\r\n15\r\nVA 2\r\n15\r\n"},
    {"ms k 1\r\n5\r\nmd k I\r\nappend k 0 0 1\r\n5\r\nmg k\r\n",
     "HD\r\nHD\r\nSTORED\r\nHD\r\n"},
    {"ms k 1\r\n5\r\nmd k I\r\ntouch k 9\r\nmg k t\r\n",
     "HD\r\nHD\r\nTOUCHED\r\nHD t9 X W\r\n"},
    {"ms k 3 T30 F5\r\nabc\r\nmd k x\r\nmg k c t v f s\r\n",
     "HD\r\nHD\r\nVA 0 c1 t-1 f0 s0\r\n\r\n"},
    {"ms k 3 T30 F5\r\nabc\r\nmd k x T60 F6 E9\r\nmg k c t v f s\r\n",
     "HD\r\nHD\r\nVA 0 c9 t60 f6 s0\r\n\r\n"},
    {"ms k 3\r\nabc\r\nmd k x I\r\nmg k c v\r\nmg k c v\r\n",
     "HD\r\nHD\r\nVA 0 c2 X W\r\n\r\nVA 0 c2 Z X\r\n\r\n"},
    {"md k x\r\nmd k I\r\nms k 1\r\nx\r\nmd k x C9\r\nmd k I C9\r\nmg k v\r\n",
     "NF\r\nNF\r\nHD\r\nEX\r\nEX\r\nVA 1\r\nx\r\n"},
    {"ms k 1\r\nx\r\nmd k T30 F5\r\nmg k\r\n", "HD\r\nHD\r\nEN\r\n"},
    {"ms Zm9v 1 b\r\nx\r\nmd foo k\r\nmd Zm9v b k\r\n",
     "HD\r\nHD kfoo\r\nNF kZm9v b\r\n"},
    {"md\r\nmd k !\r\nmd k Z\r\nmd k c c q\r\nmd k M\r\n",
     BAD BAD BAD_FLAG TWICE "NF\r\n"},
};

static const struct exchange sums[] = {
    {"ma k\r\nma k q k O1 v\r\nms k 1\r\n8\r\nma k\r\nma k v\r\nma k q v\r\n"
     "ma k v MI D5\r\n",
     "NF\r\nNF kk O1\r\nHD\r\nHD\r\nVA 2\r\n10\r\nVA 2\r\n16\r\n"},
    {"ms k 2\r\n10\r\nma k MD v c\r\nma k M- D3 v\r\nma k M+ v\r\nma k MDEC v "
     "D99\r\nmg k v\r\n",
     "HD\r\nVA 1 c2\r\n9\r\nVA 1\r\n6\r\nVA 1\r\n7\r\nVA 1\r\n0\r\n"
     "VA 2\r\n0 \r\n"},
    {"ms k 20\r\n18446744073709551615\r\nma k v D2\r\n", "HD\r\nVA 1\r\n1\r\n"},
    {"ma k N30 v t c k\r\nma k N30 v t c\r\nmg k f s\r\n",
     "VA 1 t30 c1 kk\r\n0\r\nVA 1 t30 c2\r\n1\r\nHD f0 s1\r\n"},
    {"ma k N0 J13 D5 v t\r\nma k N0 J13 D5 v t\r\nma k J9 v\r\n",
     "VA 2 t-1\r\n13\r\nVA 2 t-1\r\n18\r\nVA 2\r\n19\r\n"},
    {"ma k t N30\r\nma k t\r\nma k t T60\r\nma k T90 t\r\nma l T5 N9 t\r\n",
     "HD t-1\r\nHD t30\r\nHD t30\r\nHD t90\r\nHD t9\r\n"},
    {"ma k N0 q\r\nma k v E9 c\r\nma k C1 v\r\nma k C9 v c\r\nma k C0 v\r\n",
     "VA 1 c9\r\n1\r\nEX\r\nVA 1 c3\r\n2\r\nVA 1\r\n3\r\n"},
    {"ma k N0 E55 c\r\nma k E56 c v\r\nma k c\r\n",
     "HD c55\r\nVA 1 c56\r\n1\r\nHD c3\r\n"},
    {"ms k 5\r\n10 xy\r\nma k E5 v c MD\r\nmg k v c\r\n",
     "HD\r\nVA 1 c5\r\n9\r\nVA 5 c5\r\n9    \r\n"},
    {"ms k 1\r\n5\r\nmd k I\r\nma k v\r\nmg k v\r\nma k E5\r\nmg k c\r\n",
     "HD\r\nHD\r\nVA 1\r\n6\r\nVA 1 X W\r\n6\r\nHD\r\nHD c5 Z X\r\n"},
    {"ms k 1\r\nx\r\nma k q\r\nma k M! q\r\nma k Md\r\nma k Mi\r\nma k M\r\n",
     "HD\r\n" NOT_NUMBER BAD_MODE BAD_MODE BAD_MODE BAD_MODE},
    {"ma\r\nma k !\r\nma k Z\r\nma k c c\r\nma k Nx\r\nma k Dx Jx\r\nma k "
     "b\r\n",
     BAD BAD BAD_MA BAD_MA BAD_MA BAD_MA BAD_MA},
    {"ma Zm9v b N0 k\r\nmg foo k v\r\nma foo k s f h l\r\n",
     "HD kZm9v b\r\nVA 1 kfoo\r\n0\r\nHD kfoo\r\n"},
};

static const struct exchange debugs[] = {
    {"me k\r\nset k 5 0 2\r\nab\r\nme k\r\nget k\r\nme k x y\r\n",
     "EN\r\nSTORED\r\n"
     "ME k exp=-1 la=0 cas=1 fetch=no cls=1 size=47\r\n"
     "VALUE k 5 2\r\nab\r\nEND\r\n"
     "ME k exp=-1 la=0 cas=1 fetch=yes cls=1 size=47\r\n"},
    {"ms Zm9v 1 b T30\r\nx\r\nme foo\r\nme Zm9v b\r\nme Zm9v b x\r\n",
     "HD\r\nME Zm9v exp=-30 la=0 cas=1 fetch=no cls=1 size=44\r\nEN\r\n"
     "ME Zm9v exp=-30 la=0 cas=1 fetch=no cls=1 size=44\r\n"},
    {"me\r\nme Zm9 b x\r\nme !\r\n", BAD BAD "EN\r\n"},
    {"ma YSBi b N0\r\nme YSBi b x\r\n",
     "HD\r\nME YSBi exp=-1 la=0 cas=1 fetch=no cls=1 size=44\r\n"},
};

/* In any pieces. */
static void exchange(const struct exchange *e)
{
    static const size_t cuts[] = {SIZE_MAX / 2, 1, 2, 7};

    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        const char *got;

        if (i > 0) {
            stop();
            start();
        }
        got = talk_cut(e->in, strlen(e->in), cuts[i]);
        ck_assert_msg(strcmp(got, e->expected) == 0,
                      "%s\n in pieces of %zu gave\n%s\n not\n%s", e->in,
                      cuts[i], got, e->expected);
    }
}

START_TEST(mg_answers_as_documented)
{
    exchange(&gets[_i]);
}
END_TEST

START_TEST(ms_answers_as_documented)
{
    exchange(&sets[_i]);
}
END_TEST

START_TEST(md_answers_as_documented)
{
    exchange(&deletes[_i]);
}
END_TEST

START_TEST(ma_answers_as_documented)
{
    exchange(&sums[_i]);
}
END_TEST

START_TEST(me_answers_as_documented)
{
    exchange(&debugs[_i]);
}
END_TEST

static char *with_value(const char *line, size_t value, size_t *len)
{
    char *in = malloc(strlen(line) + value + 5);

    ck_assert_ptr_nonnull(in);
    *len = (size_t)sprintf(in, "%s\r\n", line);
    memset(in + *len, 'v', value);
    *len += value;
    memcpy(in + *len, "\r\n", 3);
    *len += 2;
    return in;
}

START_TEST(values_of_all_sizes_come_back)
{
    static const size_t sizes[] = {0, 2047, 2048, 2049, 5000, 600000, 1000000};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char line[64];
        size_t len;
        char *in;

        (void)snprintf(line, sizeof(line), "ms k %zu k O%zu s c T9", sizes[i],
                       i);
        in = with_value(line, sizes[i], &len);
        ck_assert_ptr_nonnull(strstr(talk_cut(in, len, 3000), "HD kk O"));
        (void)talk("mg k v s\r\n");
        (void)snprintf(line, sizeof(line), "VA %zu s%zu\r\n", sizes[i],
                       sizes[i]);
        ck_assert_mem_eq(answers, line, strlen(line));
        ck_assert_uint_eq(answered, strlen(line) + sizes[i] + 2);
        ck_assert_uint_eq(strspn(answers + strlen(line), "v"), sizes[i]);
        free(in);
    }
}
END_TEST

START_TEST(what_is_too_large_goes_in_every_mode)
{
    static const char *const modes[] = {"S", "E", "R", "A", "P"};

    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        char line[64];
        size_t len;
        char *in;

        (void)snprintf(line, sizeof(line), "ms k 1100000 q M%s", modes[i]);
        in = with_value(line, 1100000, &len);
        ck_assert_str_eq(talk("ms k 1\r\nx\r\n"), "HD\r\n");
        ck_assert_str_eq(talk_cut(in, len - 1, 16384), "");
        ck_assert_str_eq(talk_cut(in, len, 16384),
                         "SERVER_ERROR object too large for cache\r\n");
        ck_assert_str_eq(talk("mg k\r\n"), "EN\r\n");
        free(in);
    }
    ck_assert_uint_eq(stat_value("stats\r\n", "store_too_large"), 10);
    ck_assert_uint_eq(stat_value("stats\r\n", "cmd_set"), 5);
}
END_TEST

/* A winner is told so though output was full when it asked. */
START_TEST(nothing_is_won_twice)
{
    size_t len;
    char *in = with_value("ms k 600000 T10", 600000, &len);
    char *p;

    ck_assert_str_eq(talk_cut(in, len, len), "HD\r\n");
    ck_assert_str_eq(talk("md k I q\r\nmn\r\n"), "MN\r\n");
    (void)talk("mg k v u\r\nmg k v R30\r\nmg k v R30\r\nmg k v\r\n");
    p = strstr(answers, "VA 600000 X W\r\n");
    ck_assert_ptr_eq(p, answers);
    for (int i = 0; i < 3; i++) {
        p = strstr(p + 1, "VA 600000 Z X\r\n");
        ck_assert_ptr_nonnull(p);
    }
    ck_assert_uint_eq(answered, 4 * (15 + 600000 + 2));
    free(in);
}
END_TEST

START_TEST(time_passes)
{
    ck_assert_str_eq(talk("ms k 1 T10\r\nx\r\nmg k t\r\n"), "HD\r\nHD t10\r\n");
    clock_freeze(NOW_MS + 3000);
    ck_assert_str_eq(talk("mg k t l h\r\nmg k l\r\nmg k l u\r\nmg k R7\r\n"
                          "me k\r\n"),
                     "HD t7 l3 h1\r\nHD l0\r\nHD l0\r\nHD\r\nME k exp=-7 la=0 "
                     "cas=1 fetch=yes cls=1 size=42\r\n");
    ck_assert_str_eq(talk("mg k R8\r\n"), "HD W\r\n");
    clock_freeze(NOW_MS + 10000);
    ck_assert_str_eq(talk("mg k\r\nmg k N5\r\n"), "EN\r\nHD W\r\n");
    clock_freeze(NOW_MS + 15000);
    ck_assert_str_eq(talk("mg k N5\r\n"), "HD W\r\n");
}
END_TEST

START_TEST(commands_count_as_documented)
{
    static const struct {
        const char *in, *rows[3];
        unsigned by;
    } table[] = {
        {"ms k 1\r\n5\r\n", {"cmd_set", "total_items"}, 1},
        {"ms k 1 ME\r\n5\r\n", {"cmd_set"}, 1},
        {"ms k 1 C9\r\n5\r\n", {"cmd_set", "cas_badval"}, 1},
        {"ms no 1 C9\r\n5\r\n", {"cmd_set", "cas_misses"}, 1},
        {"ms k 1 C1 E1\r\n5\r\n", {"cmd_set", "cas_hits"}, 1},
        {"mg k\r\n", {"cmd_get", "get_hits"}, 1},
        {"mg k T30\r\n", {"cmd_touch", "touch_hits"}, 1},
        {"mg no\r\n", {"cmd_get", "get_misses"}, 1},
        {"mg no T30\r\n", {"cmd_get", "get_misses"}, 1},
        {"mg viv N30\r\n", {"cmd_get", "get_hits", "total_items"}, 1},
        {"ma k\r\n", {"incr_hits"}, 1},
        {"ma k MD\r\n", {"decr_hits"}, 1},
        {"ma no\r\n", {"incr_misses"}, 1},
        {"ma no MD\r\n", {"decr_misses"}, 1},
        {"ma num N0\r\n", {"total_items"}, 1},
        {"ma k C1\r\n", {"incr_hits", "incr_misses"}, 0},
        {"me k\r\n", {"cmd_meta"}, 1},
        {"md k I\r\n", {"delete_hits", "delete_misses"}, 0},
        {"md k C1\r\n", {"delete_misses"}, 1},
        {"md no I\r\n", {"delete_misses"}, 1},
        {"md k\r\n", {"delete_hits"}, 1},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t j = 0; j < 3 && table[i].rows[j] != NULL; j++) {
            uint64_t before = stat_value("stats\r\n", table[i].rows[j]), now;

            (void)talk(table[i].in);
            now = stat_value("stats\r\n", table[i].rows[j]);
            ck_assert_msg(now - before == table[i].by || j > 0, "%s: %s by %u",
                          table[i].in, table[i].rows[j],
                          (unsigned)(now - before));
            if (j == 0 && table[i].rows[1] != NULL) {
                break; /* the same request says something else next time */
            }
        }
    }
}
END_TEST

static void start_small(void)
{
    struct store_config config = store_config_default();

    config.evict = false;
    config.memory_limit = 2 * MIB;
    start_with(&config);
}

static void fill_memory(void)
{
    char line[64];
    size_t len;

    for (int i = 0; i < 20000; i++) {
        char *in;

        (void)snprintf(line, sizeof(line), "set f%d 0 0 900", i);
        in = with_value(line, 900, &len);
        (void)talk_cut(in, len, len);
        free(in);
        (void)snprintf(line, sizeof(line), "set s%d 0 0 1\r\n1\r\n", i);
        (void)talk(line);
    }
}

START_TEST(memory_runs_out)
{
    start_small();
    ck_assert_str_eq(talk("ms k 1 T9\r\n1\r\n"), "HD\r\n");
    fill_memory();
    ck_assert_str_eq(talk("ms new 1 ME q\r\nx\r\n"),
                     "SERVER_ERROR out of memory storing object\r\n");
    ck_assert_str_eq(talk("mg new N30\r\n"), "SERVER_ERROR out of memory\r\n");
    ck_assert_str_eq(talk("ma new N30\r\n"),
                     "SERVER_ERROR Out of memory allocating new item\r\n");
    ck_assert_str_eq(talk("md k x\r\n"), "SERVER_ERROR out of memory\r\n");
    ck_assert_str_eq(talk("md k I q\r\nmg k v\r\n"), "VA 1 X W\r\n1\r\n");
    ck_assert_str_eq(talk("ms k 1 ME\r\nx\r\nmg k\r\n"),
                     "SERVER_ERROR out of memory storing object\r\nEN\r\n");
    stop();
}
END_TEST

START_TEST(without_cas_clients_see_zero)
{
    struct store_config config = store_config_default();

    config.cas = false;
    start_with(&config);
    ck_assert_str_eq(talk("ms k 1 c E7\r\n1\r\nmg k c\r\nma k c\r\n"),
                     "HD c0\r\nHD c0\r\nHD c0\r\n");
    ck_assert_str_eq(talk("ms k 1 C7\r\n1\r\nms k 1 C0\r\n1\r\nmd k C7\r\n"
                          "md k C0\r\n"),
                     "EX\r\nEX\r\nEX\r\nHD\r\n");
    stop();
}
END_TEST

static Suite *meta_suite(void)
{
    Suite *suite = suite_create("command_meta");
    TCase *tc = tcase_create("meta"), *own = tcase_create("own");

    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_loop_test(tc, mg_answers_as_documented, 0, COUNT_OF(gets));
    tcase_add_loop_test(tc, ms_answers_as_documented, 0, COUNT_OF(sets));
    tcase_add_loop_test(tc, md_answers_as_documented, 0, COUNT_OF(deletes));
    tcase_add_loop_test(tc, ma_answers_as_documented, 0, COUNT_OF(sums));
    tcase_add_loop_test(tc, me_answers_as_documented, 0, COUNT_OF(debugs));
    tcase_add_test(tc, values_of_all_sizes_come_back);
    tcase_add_test(tc, what_is_too_large_goes_in_every_mode);
    tcase_add_test(tc, nothing_is_won_twice);
    tcase_add_test(tc, time_passes);
    tcase_add_test(tc, commands_count_as_documented);
    suite_add_tcase(suite, tc);
    tcase_add_test(own, memory_runs_out);
    tcase_add_test(own, without_cas_clients_see_zero);
    suite_add_tcase(suite, own);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(meta_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
