// Host names to addresses, by the pool: a name server that does not answer holds up those who asked for that
// name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/loop/loop.h"

namespace tend::probe {

bool is_numeric(const std::string& host);
// Without looking it up (RFC 6761), so that it works while no name server does.
bool is_localhost(const std::string& host);
bool is_loopback(const std::string& host);  // by name or number

struct Found {
  std::vector<std::string> addresses;  // numeric; empty: error tells why
  std::string error;
  bool temporary = false;  // of the name server, not of the name
};

class Names {
 public:
  using Done = std::function<void(const Found&)>;
  explicit Names(loop::Loop& loop) : loop_(loop) {}

  // One look-up per name at a time, however many ask. Never answers within the call, except that too many
  // names are being looked up. Returns a ticket for forget(), which may be called after the answer too.
  uint64_t find(const std::string& host, Done done);
  void forget(const std::string& host, uint64_t ticket);

 private:
  void found(const std::string& host, const Found& found);
  loop::Loop& loop_;
  uint64_t last_ticket_ = 0;
  std::map<std::string, std::vector<std::pair<uint64_t, Done>>> waiting_;
};

}  // namespace tend::probe
