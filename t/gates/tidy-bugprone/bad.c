#include <string.h>

struct pair {
    int a, b;
};

void clear(struct pair *p);

void clear(struct pair *p)
{
    memset(p, 0, sizeof(p));
}
