#include "ipc/fd_passing_linux.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <filesystem>
#include <vector>

using namespace tend;
using namespace tend::ipc;

namespace {

struct Pair {
  UniqueFd a, b;
  Pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    a.reset(fds[0]);
    b.reset(fds[1]);
  }
};

const std::byte kByte[1] = {std::byte{'x'}};

std::size_t open_fds() {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

}  // namespace

TEST_CASE("250 descriptors arrive in one message, CLOEXEC, and are closed with their holder") {
  Pair p;
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> fds(kMaxPassedFds, null.get());
  const std::size_t before = open_fds();
  REQUIRE(send_with_fds(p.a.get(), kByte, fds).value_or(0) == 1);
  {
    PassedFds passed;
    std::byte buffer[16];
    CHECK(receive_with_fds(p.b.get(), buffer, passed).value_or(0) == 1);
    REQUIRE(passed.count == kMaxPassedFds);
    for (std::size_t i = 0; i < passed.count; ++i) {
      CHECK((::fcntl(passed.fds[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
  }
  CHECK(open_fds() == before);
}

TEST_CASE("more than 250 descriptors, or descriptors without a byte, are refused") {
  Pair p;
  const std::vector<int> many(kMaxPassedFds + 1, 0);
  CHECK(send_with_fds(p.a.get(), kByte, many).error().code == EINVAL);
  CHECK(send_with_fds(p.a.get(), {}, std::span(many).first(1)).error().code == EINVAL);
}

TEST_CASE("descriptors lost at the limit of open files are an error and leave nothing open") {
  Pair p;
  const std::vector<int> fds(20, 0);
  REQUIRE(send_with_fds(p.a.get(), kByte, fds).value_or(0) == 1);
  const std::size_t before = open_fds();
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
  // All places below the limit are taken but two.
  rlimit tight = old;
  tight.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  std::vector<UniqueFd> filling;
  for (;;) {
    UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) break;
    filling.push_back(std::move(fd));
  }
  filling.resize(filling.size() - 2);
  PassedFds passed;
  std::byte buffer[16];
  const auto got = receive_with_fds(p.b.get(), buffer, passed);
  filling.clear();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == EMFILE);
  CHECK(passed.count == 0);
  CHECK(open_fds() == before);
}

TEST_CASE("an empty socket says EAGAIN, a closed one 0 bytes") {
  Pair p;
  PassedFds passed;
  std::byte buffer[16];
  CHECK(receive_with_fds(p.b.get(), buffer, passed).error().code == EAGAIN);
  p.a.reset();
  CHECK(receive_with_fds(p.b.get(), buffer, passed).value_or(9) == 0);
}
