// Environments as lists (app_spec.h): order is kept, names are unique. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/model/app_spec.h"

namespace tend {

// nullptr: there is none of that name.
const std::string* find_variable(const Env& env, std::string_view name);
// Replaces the value of one that is there.
void set_variable(Env& env, std::string_view name, std::string value);
// All of `under`, but where `over` has the name.
Env merged(Env under, const Env& over);

// Whether filter_env lets a variable of the caller through: an entry is a part of names, "=NAME" a whole one.
bool passes_filter(const StringList& filter, std::string_view name);

}  // namespace tend
