enum e { ONE, TWO };
int f(enum e e);

int f(enum e e)
{
    switch (e) {
    case ONE:
        return 1;
    default:
        return 2;
    }
}
