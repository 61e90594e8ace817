#include "core/autopsy/proc_text.h"

#include <arpa/inet.h>
#include <sys/syscall.h>

#include <charconv>

#include "core/base/text.h"

namespace tend::autopsy {
namespace {

struct CallName {
  long number;
  std::string_view name;
};
// Those that a blocked program sits in. Other numbers are shown as they are.
constexpr CallName kCalls[] = {
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_readv, "readv"},
    {SYS_writev, "writev"},
    {SYS_pread64, "pread64"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_openat, "openat"},
    {SYS_close, "close"},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_flock, "flock"},
    {SYS_fcntl, "fcntl"},
    {SYS_ioctl, "ioctl"},
    {SYS_futex, "futex"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_ppoll, "ppoll"},
    {SYS_pselect6, "pselect6"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
    {SYS_accept, "accept"},
    {SYS_accept4, "accept4"},
    {SYS_connect, "connect"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
    {SYS_rt_sigsuspend, "rt_sigsuspend"},
#ifdef __x86_64__  // the elder calls; other machines never had them
    {SYS_open, "open"},
    {SYS_epoll_wait, "epoll_wait"},
    {SYS_poll, "poll"},
    {SYS_select, "select"},
    {SYS_pause, "pause"},
#endif
};

template <class T>
bool number(std::string_view text, T& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end != text.data();
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = text.find_first_not_of(" \t"); at != std::string_view::npos && out.size() < 64;) {
    const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(" \t", end);
  }
  return out;
}

}  // namespace

std::optional<Status> parse_status(std::string_view text) {
  Status s;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "State") s.state = value;
    if (key == "TracerPid") number(value, s.tracer);
    if (key == "Threads") number(value, s.threads);
    if (key == "SigCgt") number(value, s.caught, 16);
    if (key == "SigBlk") number(value, s.blocked, 16);
    if (key == "VmRSS" && number(value, s.rss)) s.rss *= 1024;
    if (key == "Uid" || key == "Gid") {  // real effective saved filesystem
      const auto ids = words(value);
      if (ids.size() == 4) number(ids[1], key == "Uid" ? s.uid : s.gid);
    }
  }
  if (s.state.empty()) return std::nullopt;
  return s;
}

bool catches(const Status& status, int signal) {
  const uint64_t bit = uint64_t{1} << (signal - 1);
  return (status.caught & bit) != 0 && (status.blocked & bit) == 0;
}

std::optional<Times> parse_stat(std::string_view text) {
  const std::size_t bracket = text.rfind(')');  // the name may hold blanks and brackets
  if (bracket == std::string_view::npos) return std::nullopt;
  const auto fields = words(trim(text.substr(bracket + 1)));  // [0] is field 3, the state
  Times t;
  if (fields.size() < 20 || fields[0].size() != 1) return std::nullopt;
  t.state = fields[0][0];
  if (!number(fields[11], t.user) || !number(fields[12], t.system) || !number(fields[19], t.start))
    return std::nullopt;
  return t;
}

std::optional<Call> parse_syscall(std::string_view text) {
  const std::string_view first = text.substr(0, text.find_first_of(" \n"));
  Call call;
  if (first == "running" || first == "-1") {
    call.name = "running";
    return call;
  }
  if (!number(first, call.number) || call.number < 0) return std::nullopt;
  call.inside = true;
  call.name = "system call " + std::to_string(call.number);
  for (const CallName& one : kCalls)
    if (one.number == call.number) call.name = one.name;
  return call;
}

std::vector<std::string> parse_kernel_stack(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < 32) {
    std::string_view line = trim(next_line(text));
    if (const std::size_t at = line.find("] "); at != std::string_view::npos) line = line.substr(at + 2);
    line = line.substr(0, line.find("+0x"));
    if (!line.empty()) out.emplace_back(line.substr(0, 200));
  }
  return out;
}

std::vector<std::string> parse_native_stack(std::string_view text, std::size_t most) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < most) {
    // A line without its end was cut off with the program.
    if (text.find('\n') == std::string_view::npos) break;
    std::string_view line = next_line(text);
    if (!line.starts_with('#')) continue;
    const std::size_t address = line.find("0x");
    if (address == std::string_view::npos) continue;
    line = trim(line.substr(address));
    const std::size_t blank = line.find(' ');
    std::string_view name = line;
    if (blank != std::string_view::npos) {
      name = trim(line.substr(blank));
      if (name.starts_with("- ")) name = line.substr(0, blank);  // a module, no function
    }
    name = name.substr(0, name.find(" - "));
    out.emplace_back(name.substr(0, 300));
  }
  return out;
}

// "  0: 0100007F:8ED9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 313688 1 …":
// local and remote address (each 32-bit word in the machine's byte order), state (0A listening), queues,
// timer, retransmits, uid, timeout, inode.
std::optional<Socket> parse_tcp_line(std::string_view line) {
  const auto fields = words(line);
  if (fields.size() < 10 || !fields[0].ends_with(':')) return std::nullopt;
  const std::size_t colon = fields[1].find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Socket s;
  if (colon == 8) {
    if (!number(fields[1].substr(0, 8), s.address, 16)) return std::nullopt;
    s.address = ntohl(s.address);
  }
  if (!number(fields[1].substr(colon + 1), s.port, 16) || !number(fields[7], s.uid) ||
      !number(fields[9], s.inode))
    return std::nullopt;
  s.listening = fields[3] == "0A";
  return s;
}

}  // namespace tend::autopsy
