// One app in full, as a two-column box.
#pragma once

#include <string>

#include "cmd/render/apps_table.h"
#include "core/model/app_spec.h"
#include "core/model/value.h"

namespace tend::render {

// `row`: Row (full) of api.h; `spec`: its spec. Title, box, and under tend the environment that was set by
// the file.
std::string describe(const Value& row, const AppSpec& spec, const Page& page, bool show_secrets);

}  // namespace tend::render
