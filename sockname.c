#include "sockname.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

uint16_t sockname_port(int fd, int *family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } addr = {.in6 = {0}};
    socklen_t len = sizeof(addr);

    (void)getsockname(fd, &addr.any, &len);
    *family = addr.any.sa_family;
    if (*family == AF_INET6) {
        return ntohs(addr.in6.sin6_port);
    }
    return *family == AF_INET ? ntohs(addr.in.sin_port) : 0;
}
