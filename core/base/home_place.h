// The folder that holds the lock and the socket of a home: the home itself, or, where its file system has no
// locks or no sockets, a private one elsewhere, whose path the file `sock` in the home tells to everybody.
#pragma once

#include <string>

#include "core/base/result.h"

namespace tend {

// What `sock` names, if that is a private folder of this user, or of the home's owner for root; else `home`.
std::string place_of(const std::string& home);
// Makes such a folder, in XDG_RUNTIME_DIR or else in the temporary folder, and writes `sock`; whoever does so
// at the same time gets the same one.
Result<std::string> make_place(const std::string& home);

}  // namespace tend
