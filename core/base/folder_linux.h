// The folder of a file that is written on behalf of another user, who may have turned a folder of theirs into
// a link to one that is not.
#pragma once

#include <sys/stat.h>

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend {

struct FileOwner {
  int uid = -1, gid = -1;  // -1: whoever runs this process
};

// Whether what is written for `owner` could be more than `owner` may write.
bool writes_for_another(const FileOwner& owner);
// The folder of the absolute `path`, for openat(2) and its like; missing ones are made (0700, `owner`'s) with
// `create`. Where writes_for_another(): behind a link that is not root's the folder has to be `owner`'s, or
// it is EACCES.
Result<UniqueFd> open_folder_of(const std::string& path, const FileOwner& owner, bool create);
// EACCES where writes_for_another() and `file` has more names than `path` and is not `owner`'s.
Status not_a_strangers(const std::string& path, const struct stat& file, const FileOwner& owner);
std::string name_in_folder(const std::string& path);

}  // namespace tend
