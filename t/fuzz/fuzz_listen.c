/* The grammar of -l: every element of a list lies in it, in order; what a
 * parsed one asks for lies in the element; a part of it is refused or read
 * without touching what is behind it. */
#include <stdlib.h>
#include <string.h>

#include "listen_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void demand_inside(struct listen_text part, struct listen_text whole)
{
    demand(part.ptr >= whole.ptr &&
           part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_element(struct listen_text element)
{
    struct listen_spec spec;
    struct listen_text fault;
    enum listen_spec_status status = listen_spec_parse(element, &spec, &fault);

    demand_inside(fault, element);
    if (spec.tag.ptr != NULL) {
        demand_inside(spec.tag, element);
    }
    if (status == LISTEN_SPEC_OK) {
        demand_inside(spec.host, element);
        demand(spec.tag.len <= 8);
        demand(!spec.has_port || spec.host.len + 1 < element.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size); /* its end is seen by the sanitizer */
    struct listen_text list = {copy, size};
    const char *last = copy;
    struct listen_text element;

    if (size == 0 || copy == NULL) {
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    while (listen_spec_next(&list, &element)) {
        demand(element.ptr >= last && element.len > 0);
        demand(memchr(element.ptr, ',', element.len) == NULL);
        demand(memchr(element.ptr, ';', element.len) == NULL);
        last = element.ptr + element.len;
        check_element(element);
    }
    demand(list.len == 0);
    free(copy);
    return 0;
}
