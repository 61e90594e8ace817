#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>

#include "harness.h"

namespace tend::keeper::test {
namespace {

std::string blob(SpawnBlobHead head, const std::string& strings, int lie = 0) {
  head.size = static_cast<uint32_t>(static_cast<int>(sizeof head + strings.size()) + lie);
  std::string bytes(sizeof head, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes + strings;
}

SpawnBlobHead counts(uint32_t argc, uint32_t envc) {
  SpawnBlobHead head;
  head.argc = argc;
  head.envc = envc;
  return head;
}

const std::string kTrue("/bin/true\0\0true\0", 16);

Message spawn_message(uint32_t id) {
  Message m;
  m.kind = Kind::spawn;
  m.id = id;
  m.spawn = 1;
  return m;
}

void expect_refused(Peer& peer, int code, uint32_t id = 0) {
  const Report report = peer.next();
  CHECK(report.kind == Kind::refused);
  CHECK(report.a == code);
  CHECK(report.id == id);
}

}  // namespace

TEST_CASE("a message of another epoch, magic or version is refused and does nothing") {
  TestKeeper keeper;
  Peer peer(keeper.take());
  Message m;
  m.kind = Kind::shutdown;
  m.id = 5;
  m.epoch = kEpoch + 1;
  peer.send(m);
  expect_refused(peer, ESTALE, 5);
  m.epoch = 0;
  m.magic ^= 1;
  peer.send(m);
  expect_refused(peer, EPROTO, 5);
  m.magic = kMagic;
  m.version = kVersion + 1;
  peer.send(m);
  expect_refused(peer, EPROTONOSUPPORT, 5);
  peer.send(Kind::hello, 0, 0, kVersion + 1);
  expect_refused(peer, EPROTONOSUPPORT);
  peer.send(Kind::hello, 0, 0, kVersion);
  CHECK(peer.next().kind == Kind::synced);
}

TEST_CASE("what does not have the shape of a request is refused") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  REQUIRE(send(peer.fd(), "short", 5, 0) == 5);
  expect_refused(peer, EMSGSIZE);
  const std::string longer(sizeof(Message) + 1, 'x');
  REQUIRE(send(peer.fd(), longer.data(), longer.size(), 0) == static_cast<ssize_t>(longer.size()));
  expect_refused(peer, EMSGSIZE);

  Message m;
  m.kind = static_cast<Kind>(77);
  peer.send(m);
  expect_refused(peer, ENOSYS);
  m.kind = Kind::spawned;  // a report is no request
  peer.send(m);
  expect_refused(peer, ENOSYS);
  m.kind = Kind::drop;
  std::memset(m.name, 'n', sizeof m.name);
  peer.send(m);
  expect_refused(peer, ENAMETOOLONG);
  m.name[kNameSize - 1] = '\0';
  m.fd_count = 3;
  peer.send(m);
  expect_refused(peer, EBADF);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = null.get();
  m.fd_count = 1;
  peer.send(m, {&fd, 1});
  expect_refused(peer, EINVAL);
  m.fd_count = 0;
  m.kind = Kind::hold;
  peer.send(m);
  expect_refused(peer, EBADF);
  m.name[0] = '\0';
  peer.send(m, {&fd, 1});
  expect_refused(peer, EINVAL);
  peer.send(Kind::signal, 1, 1, 0);
  expect_refused(peer, EINVAL, 1);
  peer.send(Kind::signal, 1, 1, 65);
  expect_refused(peer, EINVAL, 1);
}

TEST_CASE("a blob that may still change, or lies about its size, is refused before a process exists") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  const auto refuse = [&](uint32_t id, const UniqueFd& fd, int code) {
    const int number = fd.get();
    peer.send(spawn_message(id), {&number, 1});
    expect_refused(peer, code, id);
  };
  refuse(1, unsealed(blob(counts(1, 0), kTrue)), EINVAL);
  refuse(2, sealed(blob(counts(1, 0), kTrue, 1)), EINVAL);
  refuse(3, sealed(blob(counts(1, 0), kTrue, -1)), EINVAL);
  refuse(4, sealed("short"), EINVAL);
  refuse(5, sealed(blob(counts(1, 0), std::string(kMaxBlob, 'x'))), EMSGSIZE);
  refuse(6, UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)), EINVAL);
  peer.send(spawn_message(7));
  expect_refused(peer, EBADF, 7);
  Message strange = spawn_message(8);
  strange.flags = 4;
  const UniqueFd good = sealed(blob(counts(1, 0), kTrue));
  const int fd = good.get();
  peer.send(strange, {&fd, 1});
  expect_refused(peer, EINVAL, 8);
  Message grouped = spawn_message(9);
  grouped.flags = kHasCgroup;  // but no second descriptor
  peer.send(grouped, {&fd, 1});
  expect_refused(peer, EBADF, 9);
  peer.send(spawn_message(10), {&fd, 1});
  CHECK(peer.next().kind == Kind::spawned);
}

TEST_CASE("a blob whose counts do not fit its strings fails in the child with EINVAL") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  uint32_t id = 0;
  const auto fail_in_child = [&](const SpawnBlobHead& head, const std::string& strings) {
    const UniqueFd fd = sealed(blob(head, strings));
    const int number = fd.get();
    peer.send(spawn_message(++id), {&number, 1});
    const Report report = peer.next();
    CAPTURE(id);
    CHECK(report.kind == Kind::spawn_failed);
    CHECK(report.a == EINVAL);
    CHECK(report.b == 0);
  };
  fail_in_child(counts(2, 0), kTrue);
  fail_in_child(counts(1, 1), kTrue);
  fail_in_child(counts(0, 0), kTrue);
  fail_in_child(counts(0xffffffff, 0xffffffff), kTrue);
  fail_in_child(counts(1, 0), kTrue.substr(0, kTrue.size() - 1));  // no NUL at the end
  fail_in_child(counts(1, 0), "");
  SpawnBlobHead crowd = counts(1, 0);
  crowd.group_count = 65;
  fail_in_child(crowd, kTrue);
}

TEST_CASE("the acknowledgement of a living process is refused") {
  TestKeeper keeper;
  Peer peer = Peer::synced(keeper);
  peer.spawn(program(1, {"/bin/sleep", "1000"}));
  CHECK(peer.next().kind == Kind::spawned);
  peer.send(Kind::ack, 1, 1);
  expect_refused(peer, EBUSY, 1);
}

}  // namespace tend::keeper::test
