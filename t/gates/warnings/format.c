void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void f(const char *p);

void f(const char *p)
{
    say(p);
}
