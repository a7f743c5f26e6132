short f(int a);

short f(int a)
{
    return a;
}
