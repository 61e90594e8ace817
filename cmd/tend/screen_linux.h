// A terminal that is used whole: its own page, keys one by one, everything as before at the end, at ^C, at
// ^Z.
#pragma once

#include <termios.h>

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::cli {

enum class Key : uint8_t { none, quit, up, down, next };

class Screen {
 public:
  static bool possible();  // standard input and output are a terminal
  static Result<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  ~Screen();

  // Waits at most `limit_ms`, or until `also` is readable. ^C and the signals that end are Key::quit; ^Z
  // stops the program here and comes back with what was drawn forgotten.
  Key wait(int limit_ms, int also);
  std::size_t width() const { return width_; }
  std::size_t height() const { return height_; }
  // Whole lines, each exactly width() cells; only those that changed are written.
  void draw(const std::vector<std::string>& lines);

 private:
  Screen() = default;
  void enter();
  void leave();
  void measure();
  bool on_signals();  // false: end
  Key next_key();

  UniqueFd signals_;
  termios before_{};
  std::string typed_;
  bool inside_ = false;
  std::size_t width_ = 80, height_ = 24;
  std::vector<std::string> drawn_;
};

}  // namespace tend::cli
