/*
 * sockname - what a socket is bound to.
 *
 * Layer:   5. Includes nothing of ours.
 * Threads: any.
 */
#ifndef SOCKNAME_H
#define SOCKNAME_H

#include <stdint.h>

/* The port of an IP socket, and its family; 0 and another family of others. */
uint16_t sockname_port(int fd, int *family);

#endif
