// What happened to an app, for a person: one block for each process that ended.
#pragma once

#include <string>

#include "cmd/render/apps_table.h"
#include "core/model/value.h"

namespace tend::render {

// `app`: one of the reply to why (core/model/api.h); of its ends the last `last`.
std::string why(const Value& app, std::size_t last, const Page& page);
// The last verdicts on its health, one a line; empty when there were none.
std::string verdicts(const Value& app, std::size_t last, const Page& page);

}  // namespace tend::render
