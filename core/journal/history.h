// What happened to one instance: how its processes ended, and what was found of its health. A file each, in
// the journal's record format (record.h) with running numbers for ids; short, as the oldest records go.
// Blocks: for the pool, one call at a time per file.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::journal {

inline constexpr std::size_t kMostEnds = 20, kMostVerdicts = 40;
inline constexpr std::size_t kMaxHistoryRecord =
    64u << 10;  // bytes; a larger one loses its autopsy, or is refused

// `record`: a map whose `kind` is "end", or anything else for a verdict. The folder is made (0700), the file
// too (0600). What a torn write left is cut off. Error: the disk refuses.
Status append_history(const std::string& path, const Value& record);
// The records, oldest first. Empty: there is no file. A damaged end is left out.
Result<List> read_history(const std::string& path);
void erase_history(const std::string& path);

}  // namespace tend::journal
