#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cerrno>

#include "cmd/serve/peers.h"
#include "cmd/serve/short_cache.h"
#include "core/base/unique_fd.h"

using namespace tend;
using namespace tend::serve;

namespace {

bool shut(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  UniqueFd near, far;
};

}  // namespace

TEST_CASE("an entry is fresh for its lifetime and no longer") {
  ShortCache<int> cache(Millis{100}, 8);
  cache.put("a", Millis{1000}, std::make_shared<int>(1));
  CHECK(*cache.find("a", Millis{1099}) == 1);
  CHECK_FALSE(cache.find("a", Millis{1100}));
  CHECK_FALSE(cache.find("b", Millis{1000}));
}

TEST_CASE("the cache holds no more than it may, and drops what is old first") {
  ShortCache<int> cache(Millis{100}, 4);
  for (int i = 0; i < 3; ++i) cache.put("old" + std::to_string(i), Millis{0}, std::make_shared<int>(i));
  cache.put("new", Millis{90}, std::make_shared<int>(9));
  cache.put("newer", Millis{120}, std::make_shared<int>(9));
  CHECK(cache.size() == 2);
  CHECK(cache.find("new", Millis{120}));
  for (int i = 0; i < 1000; ++i) cache.put(std::to_string(i), Millis{121}, std::make_shared<int>(i));
  CHECK(cache.size() <= 4);
  cache.sweep(Millis{500});
  CHECK(cache.size() == 0);
}

TEST_CASE("who has not sent a head in time is sent away, who is served is not") {
  Peers peers;
  const Pair silent, served, idle;
  Peers::Peer* const a = peers.add(silent.near.get(), Millis{0});
  Peers::Peer* const b = peers.add(served.near.get(), Millis{0});
  Peers::Peer* const c = peers.add(idle.near.get(), Millis{0});
  Peers::begins(*b);
  Peers::begins(*c);
  Peers::ends(*c, Millis{10});
  peers.send_away(Millis{19'999}, Millis{20'000}, Millis{75'000});
  CHECK_FALSE(shut(silent.far.get()));
  peers.send_away(Millis{20'000}, Millis{20'000}, Millis{75'000});
  CHECK(shut(silent.far.get()));
  CHECK_FALSE(shut(idle.far.get()));
  peers.send_away(Millis{75'010}, Millis{20'000}, Millis{75'000});
  CHECK(shut(idle.far.get()));
  CHECK_FALSE(shut(served.far.get()));
  for (Peers::Peer* const one : {a, b, c}) peers.remove(one);
  CHECK(peers.count() == 0);
}
