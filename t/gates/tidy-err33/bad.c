#include <stdio.h>

void save(FILE *f);

void save(FILE *f)
{
    fflush(f);
}
