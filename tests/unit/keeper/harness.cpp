#include "harness.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>

#include "core/keeper/keeper.h"
#include "core/keeper/spawn_blob.h"

namespace tend::keeper::test {
namespace {

constexpr int kPatience = 20000;

void pretend_old_kernel() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{static_cast<unsigned short>(std::size(code)), code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(99);
}

void limit_files(int files) {
  const auto n = static_cast<rlim_t>(files);
  const rlimit limit{n, n};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(97);
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(96);
}

[[noreturn]] void be_keeper(std::vector<UniqueFd>& ends, const Setup& setup) {
  if (setup.old_kernel) pretend_old_kernel();
  if (setup.files != 0) limit_files(setup.files);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  Settings settings;
  settings.epoch = kEpoch;
  settings.no_reaction = settings.grace = Millis{setup.patience_ms};
  getrlimit(RLIMIT_NOFILE, &settings.defaults.nofile);
  settings.defaults.umask = 027;
  size_t next = 0;
  if (setup.succeeds) settings.predecessor = std::move(ends[next++]);
  settings.start_supervisor = [&]() -> Result<Life> {
    if (next == ends.size()) return fail("no more lives");
    return Life{std::move(ends[next++]), 0};
  };
  if (setup.prepare != nullptr) setup.prepare();
  Keeper keeper(std::move(settings));
  if (!keeper.open()) _exit(98);
  if (setup.begin) setup.begin(keeper);
  _exit(keeper.run());
}

void kill_children() {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const std::string list = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  for (;;) {
    const UniqueFd file(open(list.c_str(), O_RDONLY | O_CLOEXEC));
    const std::string text = read_all(file.get());
    if (text.empty()) return;
    const auto pid = static_cast<pid_t>(std::atol(text.c_str()));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

}  // namespace

TestKeeper::TestKeeper(Setup setup) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  std::vector<UniqueFd> keepers(static_cast<size_t>(setup.lives));
  ends_.resize(keepers.size());
  for (size_t i = 0; i < keepers.size(); ++i) {
    REQUIRE(message_pair(keepers[i], ends_[i]));
    if (setup.send_buffer != 0) {
      setsockopt(keepers[i].get(), SOL_SOCKET, SO_SNDBUF, &setup.send_buffer, sizeof setup.send_buffer);
    }
  }
  pid_ = fork();
  if (pid_ == 0) {
    ends_.clear();
    be_keeper(keepers, setup);
  }
}

TestKeeper::~TestKeeper() {
  if (pid_ > 0) kill(pid_, SIGKILL);
  kill_children();
}

int TestKeeper::wait() {
  int status = -1;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

Peer Peer::greeted(TestKeeper& keeper, size_t life) {
  Peer peer(keeper.take(life));
  peer.send(Kind::hello);
  return peer;
}

Peer Peer::synced(TestKeeper& keeper, size_t life) {
  Peer peer = greeted(keeper, life);
  for (;;) {
    const Kind kind = peer.next().kind;
    REQUIRE(kind != Kind{});
    if (kind == Kind::synced) return peer;
  }
}

void Peer::send(Message message, std::span<const int> fds) {
  if (message.epoch == 0) message.epoch = kEpoch;
  if (message.fd_count == 0) message.fd_count = static_cast<uint32_t>(fds.size());
  message.serial = ++serial_;
  int code = 0;
  while ((code = send_message(socket_.get(), message, fds)) == EAGAIN) {
    pollfd p{socket_.get(), POLLOUT, 0};
    REQUIRE(poll(&p, 1, kPatience) == 1);
  }
  REQUIRE(code == 0);
}

void Peer::send(Kind kind, uint32_t id, uint32_t spawn, int64_t a) {
  Message m;
  m.kind = kind;
  m.id = id;
  m.spawn = spawn;
  m.a = a;
  send(m);
}

void Peer::hold(const std::string& name, int fd) {
  Message m;
  m.kind = Kind::hold;
  name.copy(m.name, kNameSize - 1);
  send(m, {&fd, 1});
}

void Peer::drop(const std::string& name) {
  Message m;
  m.kind = Kind::drop;
  name.copy(m.name, kNameSize - 1);
  send(m);
}

void Peer::spawn(const SpawnRequest& request) {
  const Result<UniqueFd> blob = make_blob(request);
  REQUIRE(blob);
  std::vector<int> fds{blob->get()};
  Message m;
  m.kind = Kind::spawn;
  m.id = request.id;
  m.spawn = request.spawn;
  if (request.cgroup_fd >= 0) {
    m.flags = kHasCgroup;
    fds.push_back(request.cgroup_fd);
  }
  fds.insert(fds.end(), request.child_fds.begin(), request.child_fds.end());
  send(m, fds);
}

Report Peer::next() {
  pollfd p{socket_.get(), POLLIN, 0};
  Received got;
  if (poll(&p, 1, kPatience) != 1 || receive_message(socket_.get(), got) != Got::message) return {};
  CHECK(check_message(got, kEpoch) == 0);
  const Message& m = got.message;
  return {m.kind, m.id, m.spawn, m.a, m.b, m.c, m.name, std::move(got.fds[0])};
}

SpawnRequest program(uint32_t id, std::vector<std::string> argv) {
  SpawnRequest request;
  request.id = id;
  request.spawn = 1;
  request.path = argv[0];
  request.argv = std::move(argv);
  request.env = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
  return request;
}

SpawnRequest shell(uint32_t id, const std::string& script) { return program(id, {"/bin/sh", "-c", script}); }

std::string output_of(Peer& peer, SpawnRequest request) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<int> fds{null.get(), theirs.get(), theirs.get()};
  fds.insert(fds.end(), request.child_fds.begin(), request.child_fds.end());
  request.child_fds = fds;
  peer.spawn(request);
  theirs.reset();
  return read_all(ours.get());
}

std::string read_all(int fd) {
  std::string all;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return all;
    all.append(buffer, static_cast<size_t>(n));
  }
}

UniqueFd unsealed(const std::string& bytes) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return fd;
}

UniqueFd sealed(const std::string& bytes) {
  UniqueFd fd = unsealed(bytes);
  REQUIRE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0);
  return fd;
}

TempDir::TempDir() {
  char name[] = "/tmp/tend-keeper-XXXXXX";
  REQUIRE(mkdtemp(name) != nullptr);
  path = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace tend::keeper::test
