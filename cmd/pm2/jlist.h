// PM2's record of an app (compat.md 7.1), made from Row (full) of api.h.
#pragma once

#include <string>

#include "core/model/value.h"

namespace tend::pm2 {

// `version`: from the nearest package.json; "" gives "N/A".
Value record(const Value& row, const std::string& version);

// `rows` as jlist's array, each with the version of its package.
Value jlist(const List& rows);

// Whether `pm2 env` leaves the record's key out (compat.md 7.5): what the manager says of the process itself.
bool internal_key(std::string_view key);

}  // namespace tend::pm2
