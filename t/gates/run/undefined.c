#include <limits.h>

int main(int argc, char **argv)
{
    volatile int big = INT_MAX;

    (void)argv;
    big = big + argc;
    return 0;
}
