int f();
int g(void);

int g(void)
{
    return 1;
}
