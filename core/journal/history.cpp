#include "core/journal/history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/file.h"
#include "core/base/unique_fd.h"
#include "core/journal/record.h"

namespace tend::journal {
namespace {

constexpr std::string_view kHistory = "history";  // where a journal has its boot id
constexpr std::size_t kSlack = 20;  // records beyond what is kept before the file is written anew

bool is_end(const Value& record) { return record.at("kind").text() == "end"; }

// Leaves in `found` what is to be kept.
void forget_oldest(Scan& found) {
  std::size_t ends = 0, verdicts = 0;
  std::vector<uint32_t> old;
  for (auto it = found.entries.rbegin(); it != found.entries.rend(); ++it) {
    const auto record = read_record(found, it->first, it->second);
    const bool keep = record && (is_end(record->body) ? ++ends <= kMostEnds : ++verdicts <= kMostVerdicts);
    if (!keep) old.push_back(it->first);
  }
  for (const uint32_t id : old) found.entries.erase(id);
}

bool fits(uint32_t number, const Value& record, std::string& bytes) {
  bytes.clear();
  return encode_record({number, record}, bytes) && bytes.size() <= kMaxHistoryRecord;
}

// An app has a say in its autopsy (names of functions, paths): that must not cost the end that it belongs to.
bool encode(uint32_t number, const Value& record, std::string& bytes) {
  if (fits(number, record, bytes)) return true;
  if (record.at("autopsy").is_null()) return false;
  Value without = record;
  without.as<Map>()->set("autopsy", Map{{"note", "the autopsy was too large to be kept"}});
  return fits(number, without, bytes);
}

Status start_file(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/'));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("create " + folder);
  return replace_file(path, encode_file_header(std::string(kHistory)));
}

}  // namespace

Status append_history(const std::string& path, const Value& record) {
  auto found = scan(path);
  if (!found || found->header_damaged || !found->fd) {
    if (auto begun = start_file(path); !begun) return begun;
    found = scan(path);
    if (!found) return tl::unexpected(found.error());
  }
  uint32_t next = found->entries.empty() ? 1 : found->entries.rbegin()->first + 1;
  if (found->entries.size() >= kMostEnds + kMostVerdicts + kSlack) {
    forget_oldest(*found);
    auto size = rewrite(path, std::string(kHistory), *found);
    if (!size) return tl::unexpected(size.error());
    found->good_size = *size;
  }
  std::string bytes;
  if (!encode(next, record, bytes)) return fail("a record of " + path + " is too large");
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno("open " + path);
  const auto end = static_cast<off_t>(found->good_size);
  if (::ftruncate(fd.get(), end) != 0 || ::lseek(fd.get(), end, SEEK_SET) != end)
    return fail_errno("write " + path);
  return write_all(fd.get(), bytes);
}

Result<List> read_history(const std::string& path) {
  List out;
  auto found = scan(path);
  if (!found) return tl::unexpected(found.error());
  if (!found->fd) return out;
  std::size_t ends = 0, verdicts = 0;
  std::vector<Value> newest;
  for (auto it = found->entries.rbegin(); it != found->entries.rend(); ++it) {
    auto record = read_record(*found, it->first, it->second);
    if (!record) continue;
    if (is_end(record->body) ? ++ends <= kMostEnds : ++verdicts <= kMostVerdicts)
      newest.push_back(std::move(record->body));
  }
  for (auto it = newest.rbegin(); it != newest.rend(); ++it) out.push_back(std::move(*it));
  return out;
}

void erase_history(const std::string& path) { ::unlink(path.c_str()); }

}  // namespace tend::journal
