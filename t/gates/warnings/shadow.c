int f(int a);

int f(int a)
{
    if (a > 0) {
        int a = 2;

        return a;
    }
    return a;
}
