// Real sockets on loopback: who gets which connection.
#include "core/cluster/sockets_linux.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/cluster/steering_linux.h"

namespace tend::cluster {
namespace {

constexpr int kBacklog = 4096;

Address loopback(uint16_t port = 0) {
  Address a;
  a.host = "127.0.0.1";
  a.port = port;
  return a;
}

uint16_t port_of(int fd) { return bound_address(fd)->port; }

// A client's connection, from 127.0.0.<from>.
UniqueFd connect_to(uint16_t port, unsigned from = 1) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(0x7f000000u | from);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  return fd;
}

// How many connections wait on each member; they are taken.
std::vector<int> taken(const std::vector<UniqueFd>& group) {
  std::vector<int> count;
  for (const UniqueFd& member : group) {
    int n = 0;
    while (UniqueFd(::accept4(member.get(), nullptr, nullptr, SOCK_CLOEXEC))) ++n;
    count.push_back(n);
  }
  return count;
}

std::vector<int> spread(const std::vector<UniqueFd>& group, int connections, unsigned from = 1) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < connections; ++i) clients.push_back(connect_to(port_of(group[0].get()), from));
  return taken(group);
}

TEST_CASE("a random spread over four sockets is even within 20 %") {
  const auto group = open_group(loopback(), kBacklog, 4);
  REQUIRE(group);
  const std::vector<uint32_t> all{0, 1, 2, 3};
  REQUIRE(steer(group->front().get(), Spread::random, all, 4));
  const auto count = spread(*group, 2000);
  for (const int n : count) {
    CHECK(n > 400);
    CHECK(n < 600);
  }
}

TEST_CASE("a share gets its part, and the others the rest evenly") {
  const auto group = open_group(loopback(), kBacklog, 3);
  REQUIRE(group);
  const std::vector<uint32_t> others{0, 2};
  REQUIRE(steer(group->front().get(), Spread::random, others, 3, Share{1, 20}));
  const auto count = spread(*group, 1000);
  CHECK(count[1] > 130);  // 200, five standard deviations of 13
  CHECK(count[1] < 270);
  CHECK(std::abs(count[0] - count[2]) < 150);
  REQUIRE(steer(group->front().get(), Spread::by_peer, others, 3, Share{1, 50}));
  bool reached = false;
  for (unsigned client = 1; client <= 40; ++client) {
    const auto found = spread(*group, 4, client);
    CHECK((found[1] == 0 || found[1] == 4));
    reached = reached || found[1] == 4;
  }
  CHECK(reached);
}

TEST_CASE("who comes from a socket's own probe address reaches that socket, member or not") {
  CHECK(address_for(0x102) == "127.84.1.2");
  constexpr unsigned kProbes = 84u << 16;
  const auto group = open_group(loopback(), kBacklog, 4);
  REQUIRE(group);
  const std::vector<uint32_t> members{0, 1};
  for (const Spread how : {Spread::random, Spread::by_peer}) {
    REQUIRE(steer(group->front().get(), how, members, 4));
    for (unsigned slot = 0; slot < 4; ++slot) CHECK(spread(*group, 5, kProbes | slot)[slot] == 5);
    const auto beyond = spread(*group, 20, kProbes | 4);
    CHECK(beyond[0] + beyond[1] == 20);
  }
}

TEST_CASE("sockets that are steered out get nothing new, and keep what they have") {
  auto group = open_group(loopback(), kBacklog, 4);
  REQUIRE(group);
  const std::vector<uint32_t> one{1};
  REQUIRE(steer(group->front().get(), Spread::random, one, 4));
  const UniqueFd waiting = connect_to(port_of(group->front().get()));
  const std::vector<uint32_t> two{0, 3};
  REQUIRE(steer(group->back().get(), Spread::random, two, 4));
  const auto count = spread(*group, 200);
  CHECK(count[1] == 1);
  CHECK(count[2] == 0);
  CHECK(count[0] + count[3] == 200);
  auto fifth = join_group(group->front().get(), kBacklog);
  REQUIRE(fifth);
  group->push_back(std::move(*fifth));
  const std::vector<uint32_t> last{4};
  REQUIRE(steer(group->front().get(), Spread::random, last, 5));
  CHECK(spread(*group, 50)[4] == 50);
}

TEST_CASE("by_peer: a client stays where it is, also when another one's socket goes") {
  const auto group = open_group(loopback(), kBacklog, 4);
  REQUIRE(group);
  const auto homes = [&](const std::vector<uint32_t>& members) {
    REQUIRE(steer(group->front().get(), Spread::by_peer, members, 4));
    std::map<unsigned, uint32_t> home;
    for (unsigned client = 1; client <= 40; ++client) {
      const auto count = spread(*group, 5, client);
      for (uint32_t m = 0; m < 4; ++m) {
        if (count[m] == 0) continue;
        CHECK(count[m] == 5);
        home[client] = m;
      }
    }
    return home;
  };
  const auto before = homes({0, 1, 2, 3});
  std::map<uint32_t, int> each;
  for (const auto& [client, home] : before) ++each[home];
  CHECK(each.size() == 4);
  const auto after = homes({0, 1, 3});
  for (const auto& [client, home] : before) {
    if (home != 2) CHECK(after.at(client) == home);
    CHECK(after.at(client) != 2);
  }
}

TEST_CASE("42: a port that is taken is refused, also to another group of the same user") {
  const auto group = open_group(loopback(), kBacklog, 2);
  REQUIRE(group);
  const uint16_t port = port_of(group->front().get());
  CHECK(open_group(loopback(port), kBacklog, 2).error().code == EADDRINUSE);
  CHECK(open_socket(loopback(port), kBacklog).error().code == EADDRINUSE);
  CHECK(open_socket(loopback(port), kBacklog).error().message.find("127.0.0.1:" + std::to_string(port)) !=
        std::string::npos);
}

TEST_CASE("42: any address takes both families") {
  const auto group = open_group(Address{}, kBacklog, 2);
  REQUIRE(group);
  if (bound_address(group->front().get())->host != "::") {
    MESSAGE("skipped: no IPv6 on this machine");
    return;
  }
  const std::vector<uint32_t> second{1};
  REQUIRE(steer(group->front().get(), Spread::by_peer, second, 2));
  CHECK(spread(*group, 10)[1] == 10);
}

TEST_CASE("42: a unix socket: its mode, and what is left of a former one") {
  char folder[] = "/tmp/tend-sockets-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  Address a;
  a.transport = Transport::unix_stream;
  a.path = std::string(folder) + "/s.sock";
  a.mode = 0666;
  CHECK(remove_stale(a));
  {
    const auto socket = open_socket(a, 8);
    REQUIRE(socket);
    struct stat st {};
    CHECK(::stat(a.path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0666);
    CHECK(bound_address(socket->get())->path == a.path);
    CHECK(remove_stale(a).error().code == EADDRINUSE);
    CHECK(open_socket(a, 8).error().code == EADDRINUSE);
  }
  CHECK(remove_stale(a));
  CHECK_FALSE(std::filesystem::exists(a.path));
  a.path = folder;
  CHECK(remove_stale(a).error().code == ENOTSOCK);
  std::filesystem::remove_all(folder);
}

TEST_CASE("udp is bound and shared") {
  Address a = loopback();
  a.transport = Transport::udp;
  const auto socket = open_socket(a, 0);
  REQUIRE(socket);
  CHECK(bound_address(socket->get())->transport == Transport::udp);
  CHECK(port_of(socket->get()) != 0);
}

}  // namespace
}  // namespace tend::cluster
