int f(int a);

int f(int a)
{
    return 0;
}
