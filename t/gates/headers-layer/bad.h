/*
 * bad - a header that does not say where it belongs.
 */
#ifndef BAD_H
#define BAD_H

int f(void);

#endif
