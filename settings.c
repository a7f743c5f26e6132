#include "settings.h"

struct settings settings = {
#define SETTING(type, field, initial) .field = (initial),
#include "settings.def"
#undef SETTING
};
