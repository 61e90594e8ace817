// What a file of apps would change, for people and for machines. Secrets are masked unless `show_secrets`.
#pragma once

#include <string>

#include "core/model/difference.h"
#include "core/model/value.h"

namespace tend::render {

// "changed", "started" … : what is done about it; "" for nothing.
std::string deed(const AppDifference& d);
// A line for the app and one for each field, old -> new; "" for nothing.
std::string difference_text(const AppDifference& d, bool show_secrets);
// {app, action, ids, fields: [{field, from, to}], instances?: {from, to}, start?: [id …]}
Value difference_value(const AppDifference& d, bool show_secrets);

}  // namespace tend::render
