/* A build without Cyrus SASL: -S is refused, so nothing here is called. */
#include "saslauth.h"

bool saslauth_is_built(void)
{
    return false;
}

bool saslauth_init(void)
{
    return false;
}

void saslauth_fini(void)
{
}

struct saslauth *saslauth_new(void)
{
    return NULL;
}

void saslauth_free(struct saslauth *auth)
{
    (void)auth;
}

struct saslauth_text saslauth_list(struct saslauth *auth)
{
    (void)auth;
    return (struct saslauth_text){"", 0};
}

enum saslauth_status saslauth_start(struct saslauth *auth,
                                    struct saslauth_text mechanism,
                                    struct saslauth_text data,
                                    struct saslauth_text *answer)
{
    (void)mechanism;
    return saslauth_step(auth, data, answer);
}

enum saslauth_status saslauth_step(struct saslauth *auth,
                                   struct saslauth_text data,
                                   struct saslauth_text *answer)
{
    (void)auth;
    (void)data;
    *answer = (struct saslauth_text){"", 0};
    return SASLAUTH_NO;
}

bool saslauth_is_known(const struct saslauth *auth)
{
    (void)auth;
    return false;
}
