#include "core/supervisor/log_spdlog.h"

#define SPDLOG_HEADER_ONLY
#define FMT_HEADER_ONLY
#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::supervisor {
namespace {

constexpr off_t kMostBytes = 10'000'000;
constexpr Millis kMissing{1000};

// spdlog's own file sinks follow symbolic links and obey the umask only. Used by the loop's thread alone. The
// lines are few: each looks whether the file is still there, so that who moves or removes it need tell
// nobody.
class PrivateFile final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit PrivateFile(const std::string& path) : path_(path) { open(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    look();
    if (!fd_) return;
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    [[maybe_unused]] const ssize_t n =
        write(fd_.get(), text.data(), text.size());  // a full disk loses the line only
  }
  void flush_() override {}

 private:
  void open() {
    fd_ = UniqueFd(
        ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  }

  void look() {
    struct stat at {
    }, own{};
    if (fd_ && ::fstat(fd_.get(), &own) == 0) {
      if (::lstat(path_.c_str(), &at) != 0) {
        // Perhaps the whole home is being removed: not before that has had its time.
        const Millis now = SystemClock().now();
        if (missing_since_.n < 0) missing_since_ = now;
        if (now - missing_since_ < kMissing) return;
      } else if (at.st_ino == own.st_ino && at.st_dev == own.st_dev) {
        missing_since_ = Millis{-1};
        if (!S_ISREG(own.st_mode) || own.st_size < kMostBytes) return;
        if (::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return;  // it goes on there
      }
    }
    missing_since_ = Millis{-1};
    open();
  }

  std::string path_;
  UniqueFd fd_;
  Millis missing_since_{-1};
};

class SpdLog final : public Log {
 public:
  SpdLog(const std::string& path, bool pm2) : logger_("tend", std::make_shared<PrivateFile>(path)) {
    logger_.set_pattern(pm2 ? "%Y-%m-%dT%H:%M:%S: PM2 log: %v" : "%Y-%m-%dT%H:%M:%S.%e %l %v");
  }
  void info(std::string_view line) override { logger_.info("{}", printable(line)); }
  void warn(std::string_view line) override { logger_.warn("{}", printable(line)); }
  void error(std::string_view line) override { logger_.error("{}", printable(line)); }

 private:
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<Log> make_file_log(const std::string& path, bool pm2) {
  return std::make_unique<SpdLog>(path, pm2);
}

}  // namespace tend::supervisor
