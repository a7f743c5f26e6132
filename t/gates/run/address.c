#include <stdlib.h>

int main(int argc, char **argv)
{
    volatile char *p = malloc(8);

    (void)argv;
    if (p == NULL) {
        return 0;
    }
    p[7 + argc] = 0;
    free((char *)(size_t)p);
    return 0;
}
