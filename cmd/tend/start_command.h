// start, and what restarts or starts the apps of a file.
#pragma once

#include <string>

#include "cmd/tend/session.h"

namespace tend::cli {

int start_command(Session& s);
// The same without the list. False: something failed and was told.
bool start_words(Session& s);
// restart, reload and startOr… of a file: those that run are restarted with the file's settings, the others
// started. False: something failed and was told.
bool start_file(Session& s, const std::string& path, std::string_view verb);

}  // namespace tend::cli
