// Descriptors that an app leaves with its manager (FDSTORE=1 of sd_notify(3)), so that its next process gets
// them. The keeper holds them under "store/<id>.<number>/<name>" ("!" for "." : kept though it hung up), so
// they outlive this process too.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/client.h"

namespace tend::supervisor {

struct StoredFd {
  uint32_t number = 0;  // of its instance; in the order of coming
  std::string name;
  bool polled = true;                  // FDPOLL=0: not dropped when the other end is gone
  std::shared_ptr<const UniqueFd> fd;  // shared with a spawn that is under way
};

class FdStore {
 public:
  explicit FdStore(keeper::Client& keeper) : keeper_(keeper) {}

  // One that is there already (the same open file) is dropped silently. Error: `limit` are stored, the name
  // is too long for the keeper, or descriptors ran out.
  Status add(uint32_t id, std::size_t limit, std::string_view name, bool polled, UniqueFd fd);
  void remove(uint32_t id, std::string_view name);  // all of that name
  void forget(uint32_t id);                         // the app is deleted
  // In the order of coming. What hung up meanwhile is let go first.
  std::vector<StoredFd> of(uint32_t id);

  // What a predecessor left: false: the name is none of the store's.
  static bool is_stored(std::string_view keep_name, uint32_t& id);
  void give_back(std::string_view keep_name, UniqueFd fd);

 private:
  void drop_dead(uint32_t id);
  keeper::Client& keeper_;
  std::map<uint32_t, std::vector<StoredFd>> stored_;  // by instance
};

}  // namespace tend::supervisor
