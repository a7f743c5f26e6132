#include <pthread.h>
#include <stddef.h>

static int shared;

static void *add(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        shared++;
    }
    return NULL;
}

int main(void)
{
    pthread_t other;

    if (pthread_create(&other, NULL, add, NULL) != 0) {
        return 0;
    }
    (void)add(NULL);
    (void)pthread_join(other, NULL);
    return 0;
}
