#ifndef BAD_H
#define BAD_H

int f(void);

#endif
