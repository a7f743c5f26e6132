int f(void);

int f(void)
{
#if NOBODY_DEFINED_THIS
    return 1;
#else
    return 0;
#endif
}
