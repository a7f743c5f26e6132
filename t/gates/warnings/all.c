int f(void);

int f(void)
{
    int unused;

    return 0;
}
