#include "options_access.h"

#include <sysexits.h>

#include "base/log.h"
#include "settings.h"

static void check_auth_file(void)
{
    if (settings.auth_file == NULL) {
        return;
    }
    if (!settings.binding_given) {
        settings.binding_protocol = SETTINGS_ASCII;
    }
    if (settings.binding_protocol != SETTINGS_ASCII) {
        log_fatal(EX_USAGE, "ERROR: You cannot allow the BINARY protocol while "
                            "using ascii authentication tokens.\n");
    }
    if (settings.udpport != 0) {
        log_fatal(EX_USAGE, "Cannot use UDP with ascii authentication enabled "
                            "(-U 0 to disable)\n");
    }
}

void options_check_access(void)
{
    check_auth_file();
}
