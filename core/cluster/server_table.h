// The listening sockets of clustered apps: which there are, who made them, and that they outlive this
// process. A socket is closed when its app no longer wants it, never because a worker ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/cluster/steering_linux.h"
#include "core/model/address.h"
#include "core/model/value.h"

namespace tend::cluster {

// How connections reach the workers of one server (settled 36, 37).
enum class Balance : uint8_t { reuseport, shared, rr, least, sticky };

inline constexpr int kBacklog = 511;  // Node's default
inline constexpr int kFirstFd =
    3;  // descriptor of the first socket of the option `listen`, as LISTEN_FDS counts
std::string listen_key(std::size_t index);  // of the n-th socket of the option `listen`, from 0
bool is_listen_key(std::string_view key);

// "auto" is reuseport. Nothing for an unknown word.
Result<Balance> balance_of(std::string_view word);

struct Server {
  uint32_t number = 0;
  std::string group;  // the app
  std::string key;    // protocols.md 2.4, or listen_key()
  Address address;    // as asked; port 0 stays 0
  Balance balance = Balance::reuseport;
  int backlog = 0;
  Value data;                     // of the first worker that asked: TLS ticket keys
  std::vector<UniqueFd> members;  // one for each slot with reuseport and sticky, else one
  std::set<uint32_t> listening;   // slots whose worker accepts
  std::optional<Share> share;     // of a slot on trial
  std::set<uint32_t> stalled;     // slots that get nothing new while others accept

  bool per_slot() const { return balance == Balance::reuseport || balance == Balance::sticky; }
  bool handed_over() const { return balance == Balance::rr || balance == Balance::least; }
};

// Where sockets and what is known of them outlive this process.
class Store {
 public:
  virtual ~Store() = default;
  virtual void hold(std::string_view name, int fd) = 0;  // duplicates; at most 63 bytes of name
  virtual void drop(std::string_view name) = 0;
  virtual void note(uint32_t server, Value body) = 0;  // replaces; null: forget
};

class ServerTable {
 public:
  ServerTable(Store& store, Log& log) : store_(store), log_(log) {}

  // What a predecessor left; all before the first open(). A server of which a socket is missing is forgotten.
  void give_back(uint32_t number, const Value& body);
  void give_back(std::string_view name, UniqueFd fd);
  void settle();

  Server* find(std::string_view group, std::string_view key);
  Server* find(uint32_t number);
  std::vector<Server*> all();
  std::vector<Server*> of(std::string_view group);
  // Binds and keeps. Error: code is the errno of bind or listen.
  Result<Server*> open(Server wanted, uint32_t slots);
  // The socket of a slot (borrowed), made when it is not there yet.
  Result<int> member(Server& server, uint32_t slot);
  // Until the first one accepts, connections wait at the sockets of `slots`.
  void await_first(Server& server, const std::set<uint32_t>& slots);
  // The worker of `slot` begins or ceases to accept. While nobody does, connections wait where they are.
  // percent > 0: it is on trial, and gets this part of the connections; one slot at a time.
  void set_listening(Server& server, uint32_t slot, bool yes, uint32_t percent = 0);
  void set_stalled(Server& server, uint32_t slot, bool yes);
  void close(Server& server);

 private:
  void note(const Server& server);
  void steer(const Server& server);
  void aim(const Server& server, const std::vector<uint32_t>& list, std::optional<Share> share);
  Store& store_;
  Log& log_;
  std::map<uint32_t, std::unique_ptr<Server>> servers_;
  std::map<std::string, UniqueFd, std::less<>> given_;
  uint32_t next_ = 0;
};

std::string member_name(uint32_t server, std::size_t member);  // "sock/<server>.<member>"

}  // namespace tend::cluster
