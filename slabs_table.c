#include "slabs_table.h"

#include "items.h"

/* Below the first of these the classes are closer together: small items are
 * many, and what a wide step wastes there is most of the memory. From it on
 * chunks take what is left of their page. From the second on few chunks fit in
 * a page, and classes are somewhat closer together again. */
#define FINE_STEP_LIMIT  (4 * KIB)
#define LARGE_STEP_LIMIT (64 * KIB)
#define CLASS_TABLE_UNIT 8

static size_t chunks[SLABS_CLASS_MAX + 1];        /* [c] bytes, from 1 on */
static unsigned last_class;                       /* [c] */
static uint8_t small_class[SLABS_PAGE / 256 + 1]; /* [c] by size / 256 */

static size_t round_up(size_t n)
{
    return (n + CLASS_TABLE_UNIT - 1) / CLASS_TABLE_UNIT * CLASS_TABLE_UNIT;
}

static void add_class(size_t chunk)
{
    chunks[++last_class] = chunk;
}

/* As somebody wrote them down; too small for an item, or too large, are left
 * out. */
static void take_sizes(const struct slabs_config *config)
{
    last_class = 0;
    for (size_t i = 0; i < config->sizes_n; i++) {
        size_t size = round_up(config->sizes[i]);

        if (size > sizeof(struct item) && size < config->chunk_max &&
            last_class < SLABS_CLASS_MAX - 1) {
            add_class(size);
        }
    }
    add_class(config->chunk_max);
}

/* The largest chunk of which as many fit in a page. */
static size_t fill_page(size_t chunk)
{
    return SLABS_PAGE / (SLABS_PAGE / chunk) / CLASS_TABLE_UNIT *
           CLASS_TABLE_UNIT;
}

static double step_from(size_t chunk, double factor)
{
    if (chunk < FINE_STEP_LIMIT) {
        return 1.0 + 0.4 * (factor - 1.0);
    }
    return chunk < LARGE_STEP_LIMIT ? factor : 1.0 + 0.6 * (factor - 1.0);
}

static void make_classes(const struct slabs_config *config)
{
    size_t size = round_up(32 + config->chunk_min);

    last_class = 0;
    while (last_class < SLABS_CLASS_MAX - 1) {
        double step;
        size_t next;

        if (size >= FINE_STEP_LIMIT && size <= SLABS_PAGE) {
            size = fill_page(size);
        }
        step = step_from(size, config->factor);
        next = round_up((size_t)((double)size * step));
        if ((double)size > (double)config->chunk_max / step) {
            break;
        }
        add_class(size);
        size = next > size ? next : size + CLASS_TABLE_UNIT;
    }
    add_class(config->chunk_max);
}

/* small_class[i]: the least class for any size above 256 * (i - 1). */
static void index_classes(void)
{
    unsigned c = 1;

    for (size_t i = 0; i < sizeof(small_class); i++) {
        size_t least = i == 0 ? 1 : (i - 1) * 256 + 1;

        while (c < last_class && chunks[c] < least) {
            c++;
        }
        small_class[i] = (uint8_t)c;
    }
}

void slabs_table_make(const struct slabs_config *config)
{
    if (config->sizes_n > 0) {
        take_sizes(config);
    } else {
        make_classes(config);
    }
    index_classes();
}

unsigned slabs_class(size_t size)
{
    unsigned c;

    if (size > chunks[last_class]) {
        return 0;
    }
    c = small_class[(size + 255) / 256];
    while (chunks[c] < size) {
        c++;
    }
    return c;
}

size_t slabs_chunk_size(unsigned slab_class)
{
    return slab_class == 0 || slab_class > last_class ? 0 : chunks[slab_class];
}

unsigned slabs_last_class(void)
{
    return last_class;
}

unsigned slabs_table_stock(const struct slabs_config *config)
{
    double size = 48.0 + (double)config->chunk_min;
    unsigned n = 1;

    for (; n < SLABS_CLASS_MAX &&
           size <= (double)config->chunk_max / config->factor;
         n++) {
        size = (double)round_up((size_t)size);
        size *= config->factor;
    }
    return n;
}
