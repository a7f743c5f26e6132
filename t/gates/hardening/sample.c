/* Has what every hardening flag works on, if the flag is given. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char buf[64];

    strcpy(buf, argv[argc - 1]);
    return puts(buf) < 0;
}
