// What an app announced of itself: its metrics and the actions that it can be asked for.
#pragma once

#include <string>

#include "cmd/render/apps_table.h"
#include "core/model/value.h"

namespace tend::render {

// {metric: {value, unit, type, historic} …} of a Row (full) of api.h. What its heartbeats tell is added under
// the names that PM2's agent gives it, where the app has no metric of that name.
Map metrics_of(const Value& row);
// The two blocks at the end of a description; "" when there is nothing in them.
std::string announced(const Value& row, const Page& page);

}  // namespace tend::render
