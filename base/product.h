/*
 * product - the versions this build reports.
 *
 * Layer:   0.
 * Threads: constants.
 */
#ifndef BASE_PRODUCT_H
#define BASE_PRODUCT_H

/* The memcached release whose behaviour this is. */
#define PRODUCT_BASE_VERSION "1.6.45"

/* The product's own. */
#define PRODUCT_VERSION "3.0.0"

#endif
