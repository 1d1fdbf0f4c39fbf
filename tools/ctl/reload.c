/* tributaryctl reload */
#include <stdio.h>

#include "ctl.h"

int ctl_reload(const struct ctl *ctl)
{
    cJSON *tree;
    if (ctl->argument_count != 0)
        return ctl_fail(CTL_USAGE, "reload takes no arguments");
    int rc = ctl_ask(ctl, "POST", "/v1/reload", &tree);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json)
        rc = ctl_print_json(tree);
    else
        puts("reloaded: certificates, credentials and configuration are as the files are now");
    cJSON_Delete(tree);
    return rc;
}
