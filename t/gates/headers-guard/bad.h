/*
 * bad - a header whose guard does not wrap everything.
 *
 * Layer: 0.
 */
#ifndef BAD_H
#define BAD_H

int f(void);

#endif

int g(void);
