#include <stddef.h>

int first(const int *p);

int first(const int *p)
{
    if (p == NULL) {
        return *p;
    }
    return 0;
}
