#include <stdlib.h>

int main(int argc, char **argv)
{
    char *p = malloc(8);

    (void)argv;
    if (p == NULL) {
        return 0;
    }
    free(p);
    return p[argc] == 0 ? 0 : 0;
}
