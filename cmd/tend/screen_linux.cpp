#include "cmd/tend/screen_linux.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <string_view>
#include <utility>

namespace tend::cli {
namespace {

constexpr int kHandled[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGWINCH, SIGTSTP};

// xterm's sequences, which every terminal of today has: alternate page, cursor, line wrap.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

bool Screen::possible() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1; }

Result<Screen> Screen::open() {
  Screen screen;
  if (::tcgetattr(STDIN_FILENO, &screen.before_) != 0) return fail_errno("the terminal");
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kHandled) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  screen.signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!screen.signals_) return fail_errno("signalfd");
  screen.enter();
  return screen;
}

Screen::Screen(Screen&& other) noexcept
    : signals_(std::move(other.signals_)),
      before_(other.before_),
      inside_(std::exchange(other.inside_, false)),
      width_(other.width_),
      height_(other.height_) {}

Screen::~Screen() { leave(); }

void Screen::enter() {
  termios raw = before_;
  raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
  put(kEnter);
  inside_ = true;
  measure();
}

void Screen::leave() {
  if (!std::exchange(inside_, false)) return;
  put(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

void Screen::measure() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    width_ = size.ws_col;
    height_ = size.ws_row;
  }
  drawn_.clear();
  put("\x1b[2J");
}

bool Screen::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGWINCH) {
      measure();
    } else if (info.ssi_signo == SIGTSTP) {
      leave();
      ::kill(::getpid(), SIGSTOP);
      enter();  // after SIGCONT
    } else {
      return false;
    }
  }
  return true;
}

// The first of the keys that were typed ahead.
Key Screen::next_key() {
  struct Sequence {
    std::string_view bytes;
    Key key;
  };
  constexpr Sequence kSequences[] = {{"\x1b[A", Key::up},   {"\x1bOA", Key::up},   {"k", Key::up},
                                     {"\x1b[B", Key::down}, {"\x1bOB", Key::down}, {"j", Key::down},
                                     {"\t", Key::next},     {"q", Key::quit},      {"Q", Key::quit}};
  while (!typed_.empty()) {
    if (typed_ == "\x1b") return Key::quit;
    for (const auto& [bytes, key] : kSequences) {
      if (typed_.compare(0, bytes.size(), bytes) != 0) continue;
      typed_.erase(0, bytes.size());
      return key;
    }
    typed_.erase(0, 1);
  }
  return Key::none;
}

Key Screen::wait(int limit_ms, int also) {
  if (const Key key = next_key(); key != Key::none) return key;
  pollfd p[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}, {also, POLLIN, 0}};
  ::poll(p, std::size(p), limit_ms);
  if (p[1].revents != 0 && !on_signals()) return Key::quit;
  if (p[0].revents == 0) return Key::none;
  char bytes[64];
  const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
  if (n == 0 && (p[0].revents & POLLHUP) != 0) return Key::quit;  // the terminal is gone
  if (n > 0) typed_.assign(bytes, static_cast<std::size_t>(n));
  return next_key();
}

void Screen::draw(const std::vector<std::string>& lines) {
  std::string out;
  drawn_.resize(lines.size());
  for (std::size_t i = 0; i < lines.size() && i < height_; ++i) {
    if (drawn_[i] == lines[i]) continue;
    out += "\x1b[" + std::to_string(i + 1) + ";1H\x1b[K" + lines[i];  // after it, the last cell would go
    drawn_[i] = lines[i];
  }
  put(out);
}

}  // namespace tend::cli
