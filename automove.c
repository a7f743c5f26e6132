#include "automove.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Half pages' worth of free chunks above which a class gives one away. */
enum { SPARE_HALVES = 5 };

enum { CLASSES_MAX = 63 };

struct sample {
    uint32_t age;
    uint32_t evicted; /* since the sample before */
    bool dirty;       /* it needed memory, or got some */
};

struct automove {
    unsigned classes, window;
    unsigned at;                   /* where the next sample goes */
    bool begun;                    /* `before` is known */
    unsigned taken;                /* up to window */
    struct automove_class *before; /* by class: the last sample's figures */
    struct sample *samples; /* window of class 1, window of class 2, ... */
};

/* What the window says of one class. */
struct summary {
    uint64_t age;      /* average */
    uint64_t evicted;  /* sum */
    unsigned evicting; /* samples with evictions */
    bool evicted_now;
    bool dirty;
};

struct automove *automove_new(unsigned classes, unsigned window)
{
    struct automove *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    a->classes = classes;
    a->window = window;
    a->before = calloc(classes + 1, sizeof(*a->before));
    a->samples = calloc((size_t)classes * window, sizeof(*a->samples));
    if (a->before == NULL || a->samples == NULL) {
        automove_free(a);
        return NULL;
    }
    return a;
}

void automove_free(struct automove *a)
{
    if (a != NULL) {
        free(a->before);
        free(a->samples);
        free(a);
    }
}

static struct sample *samples_of(const struct automove *a, unsigned c)
{
    return a->samples + (size_t)(c - 1) * a->window;
}

/* Counters begin anew when somebody resets the statistics. */
static uint64_t risen(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : now;
}

void automove_sample(struct automove *a, const struct automove_class *class)
{
    if (!a->begun) {
        memcpy(a->before, class, (a->classes + 1) * sizeof(*class));
        a->begun = true;
    }
    for (unsigned c = 1; c <= a->classes; c++) {
        const struct automove_class *now = &class[c], *was = &a->before[c];
        uint64_t evicted = risen(was->evicted, now->evicted);

        samples_of(a, c)[a->at] = (struct sample){
            .age = now->age,
            .evicted = evicted > UINT32_MAX ? UINT32_MAX : (uint32_t)evicted,
            .dirty = evicted > 0 || now->outofmemory > was->outofmemory ||
                     now->pages > was->pages,
        };
    }
    memcpy(a->before, class, (a->classes + 1) * sizeof(*class));
    a->at = (a->at + 1) % a->window;
    a->taken += a->taken < a->window;
}

static struct summary summary_of(const struct automove *a, unsigned c)
{
    const struct sample *s = samples_of(a, c);
    struct summary sum = {0};

    assert(a->window > 0);
    for (unsigned i = 0; i < a->taken; i++) {
        sum.age += s[i].age;
        sum.evicted += s[i].evicted;
        sum.evicting += s[i].evicted > 0;
        sum.dirty = sum.dirty || s[i].dirty;
    }
    sum.age = a->taken > 0 ? sum.age / a->taken : 0;
    sum.evicted_now = s[(a->at + a->window - 1) % a->window].evicted > 0;
    return sum;
}

static bool has_spare(const struct automove_class *class)
{
    return class->pages >= 2 &&
           class->free_chunks * 2 > SPARE_HALVES * class->per_page;
}

/* The class that lets its items live longest, of those with a page to give. */
static unsigned oldest(const struct automove *a,
                       const struct automove_class *class,
                       const struct summary *sum)
{
    unsigned found = 0;

    for (unsigned c = 1; c <= a->classes; c++) {
        if (class[c].pages > 2 && (found == 0 || sum[c].age > sum[found].age)) {
            found = c;
        }
    }
    return found;
}

/* The class with the youngest victims, of those that evict much. */
static unsigned youngest(const struct automove *a, const struct summary *sum)
{
    unsigned found = 0;
    uint64_t all = 0;

    for (unsigned c = 1; c <= a->classes; c++) {
        all += sum[c].evicted;
    }
    for (unsigned c = 1; c <= a->classes; c++) {
        bool much = sum[c].evicting * 2 > a->window || sum[c].evicted * 4 > all;

        if (much && sum[c].evicted > 0 &&
            (found == 0 || sum[c].age < sum[found].age)) {
            found = c;
        }
    }
    return found;
}

bool automove_decide(const struct automove *a,
                     const struct automove_class *class, bool full,
                     double ratio, struct automove_move *move)
{
    struct summary sum[CLASSES_MAX + 1];

    if (a->taken < a->window) {
        return false;
    }
    for (unsigned c = 1; c <= a->classes; c++) {
        sum[c] = summary_of(a, c);
        if (full && has_spare(&class[c]) && !sum[c].dirty) {
            *move = (struct automove_move){c, 0};
            return true;
        }
    }
    move->src = oldest(a, class, sum);
    move->dst = youngest(a, sum);
    return move->src != 0 && move->dst != 0 && move->src != move->dst &&
           sum[move->dst].evicted_now &&
           (double)sum[move->dst].age < (double)sum[move->src].age * ratio;
}

/* Whether `x` would miss a page less than `y`: it has one free, or else what it
 * evicts next is older. */
static bool misses_less(const struct automove_class *x,
                        const struct automove_class *y)
{
    bool x_free = x->free_chunks >= x->per_page;
    bool y_free = y->free_chunks >= y->per_page;

    return x_free != y_free ? x_free : x->age > y->age;
}

unsigned automove_donor(const struct automove_class *class, unsigned classes)
{
    unsigned found = 0;

    for (unsigned c = 1; c <= classes; c++) {
        if (class[c].pages >= 2 &&
            (found == 0 || misses_less(&class[c], &class[found]))) {
            found = c;
        }
    }
    return found;
}
