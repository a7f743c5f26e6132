#include "options_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/product.h"
#include "base/util.h"
#include "settings.h"

enum { ROW_WIDTH = 26, SHORT_WIDTH = 14 };

static const char license_text[] =
#include "license.def"
    ;

/* ---- -h, -i, -V ---------------------------------------------------- */

static void print_version(void)
{
    (void)printf("memcached %s\n", PRODUCT_BASE_VERSION);
    if (IS_PAIR) {
        (void)printf("repcached %s\n", PRODUCT_VERSION);
    }
}

/* What %s stands for in the help of `row`. */
static void print_value(const struct option_row *row)
{
    const void *field = (const char *)&settings + row->offset;

    if (row->kind == INT) {
        (void)printf("%d", *(const int *)field);
    } else if (row->kind == MEBI) {
        (void)printf("%zu", *(const size_t *)field / MIB);
    } else if (row->kind == OCTAL) {
        (void)printf("%o", (unsigned)*(const int *)field);
    } else if (row->kind == FLOAT) {
        (void)printf("%.2f", *(const double *)field);
    }
}

/* The help of `row` behind `used` characters, in a column `width` wide. */
static void print_help(const struct option_row *row, int used, int width)
{
    (void)printf("%*s", used < width ? width - used : 1, "");
    for (const char *p = row->help; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 's') {
            print_value(row);
            p++;
        } else if (*p == '\n') {
            (void)printf("\n%*s", width, "");
        } else {
            (void)putchar(*p);
        }
    }
    (void)putchar('\n');
}

static void print_letter(const struct option_row *row)
{
    const char *arg = row->arg != NULL ? row->arg : "";
    int used;

    if (row->name == NULL) {
        used = printf("-%c %s", row->key, arg);
        print_help(row, used, SHORT_WIDTH);
        return;
    }
    used = row->key == KEY_DUMPING ? 0 : printf("-%c, ", row->key);
    used += printf("--%s%s%s", row->name, *arg != '\0' ? "=" : "", arg);
    print_help(row, used, ROW_WIDTH);
}

static void print_subs(void)
{
    const struct option_row *row;

    for (size_t i = 0; (row = options_sub(i)) != NULL; i++) {
        if (row->help != NULL && option_in_build(row)) {
            print_help(row, printf("   - %s:", row->name), ROW_WIDTH);
        }
    }
}

void options_show_help(char *arg)
{
    const struct option_row *row;

    (void)arg;
    print_version();
    for (size_t i = 0; (row = options_letter(i)) != NULL; i++) {
        if (row->help != NULL && option_in_build(row)) {
            print_letter(row);
        }
        if (row->key == 'o') {
            print_subs();
        }
    }
    exit(EXIT_SUCCESS);
}

void options_show_license(char *arg)
{
    (void)arg;
    print_version();
    (void)fputs(license_text, stdout);
    exit(EXIT_SUCCESS);
}

void options_show_version(char *arg)
{
    (void)arg;
    print_version();
    exit(EXIT_SUCCESS);
}
