#include "core/supervisor/log_spdlog.h"

#define SPDLOG_HEADER_ONLY
#define FMT_HEADER_ONLY
#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace tend::supervisor {
namespace {

constexpr off_t kMostBytes = 10'000'000;

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
    const bool there = fd_ && ::fstat(fd_.get(), &own) == 0 && ::lstat(path_.c_str(), &at) == 0 &&
                       at.st_ino == own.st_ino && at.st_dev == own.st_dev;
    if (there && (!S_ISREG(own.st_mode) || own.st_size < kMostBytes)) return;
    // Where it cannot be put aside it goes on.
    if (there && ::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return;
    open();
  }

  std::string path_;
  UniqueFd fd_;
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
