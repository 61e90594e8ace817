// The JSON schema (draft 2020-12) of files of apps, made from the option table.
#pragma once

#include "core/model/value.h"

namespace tend::cli {

Value ecosystem_schema();

}  // namespace tend::cli
