#include <stdlib.h>

int last(int n);

int last(int n)
{
    int table[4] = {1, 2, 3, 4};
    char *p = malloc(10);

    if (p == NULL) {
        return 0;
    }
    p[0] = (char)n;
    return table[4] + p[0];
}
