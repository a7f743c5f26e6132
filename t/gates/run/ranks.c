#include "base/lock.h"

static struct lock high, low;

int main(void)
{
    lock_take(&high, LOCK_QUEUE);
    lock_take(&low, LOCK_STRIPE);
    return 0;
}
