#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    char *p = malloc(8);
    int c;

    (void)argv;
    if (p == NULL) {
        return 0;
    }
    memset(p, argc, 8 + (size_t)argc);
    c = p[7];
    free(p);
    return c == argc ? 0 : 1;
}
