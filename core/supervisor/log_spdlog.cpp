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

// spdlog's own file sinks follow symbolic links and obey the umask only. Used by the loop's thread alone.
class PrivateFile final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit PrivateFile(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!fd_) return;
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    [[maybe_unused]] const ssize_t n =
        write(fd_.get(), text.data(), text.size());  // a full disk loses the line only
  }
  void flush_() override {}

 private:
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
