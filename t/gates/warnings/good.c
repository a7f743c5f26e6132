int good(int a);

int good(int a)
{
    return a + 1;
}
