#include <stdlib.h>

static char *volatile kept;

int main(void)
{
    kept = malloc(80);
    kept = NULL;
    return 0;
}
