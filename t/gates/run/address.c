#include <stdlib.h>

int main(int argc, char **argv)
{
    char *p = malloc(8);
    volatile char *gone = p;

    (void)argv;
    if (p == NULL) {
        return 0;
    }
    free(p);
    gone[argc] = 0;
    return 0;
}
