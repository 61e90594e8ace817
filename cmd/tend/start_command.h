// start, and what restarts or starts the apps of a file.
#pragma once

#include <string>
#include <vector>

#include "cmd/tend/session.h"
#include "core/model/app_spec.h"

namespace tend::cli {

int start_command(Session& s);
// Starts what a script was resolved to, as `start SCRIPT` does. False: something failed and was told.
bool start_loaded(Session& s, const config::Loaded& loaded);
// The same without the list. False: something failed and was told.
bool start_words(Session& s);
// restart, reload and startOr… of a file: those that run are restarted with the file's settings, the others
// started. False: something failed and was told.
bool start_file(Session& s, const std::string& path, std::string_view verb);
// Tells what was wrong with a file or a script.
void show_problems(Session& s, const config::Loaded& loaded);
// Asks for the apps by the RPC method start. `ids`: a list of the instances that may be taken for them; null:
// by name.
Result<Value> ask_start(Session& s, const std::vector<AppSpec>& apps, bool from_file, std::string_view verb,
                        const Value& ids = {});

}  // namespace tend::cli
