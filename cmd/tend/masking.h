// Which outputs hide secrets, and the hiding of them in rows of the daemon.
#pragma once

#include "cmd/tend/session.h"
#include "core/model/value.h"

namespace tend::cli {

// Under tend unless --show-secrets; under pm2, whose scripts read everything, when TEND_MASK=1 is set or the
// setting pm2:mask_secrets (module_conf.json in the home).
bool masks_secrets(const Session& s);
// With secrets replaced in all that is below, where they are to be hidden.
Value for_output(const Session& s, Value value);

}  // namespace tend::cli
