/*
 * bad - a header that needs another one before it.
 *
 * Layer: 0.
 */
#ifndef BAD_H
#define BAD_H

size_t f(void);

#endif
