#include "core/keeper/state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tend::keeper {
namespace {

// As many as one process may have open.
constexpr uint32_t kMaxHeld = 1u << 20;
constexpr uint32_t kMaxStruct = 4096;
// What each struct of version 1 had: no state has less.
constexpr uint32_t kLeastHead = 128, kLeastEntry = 40, kLeastHeld = 72;

uint64_t sum_of(const char* bytes, size_t size, uint64_t sum) {
  for (size_t i = 0; i < size; ++i) sum = (sum ^ static_cast<unsigned char>(bytes[i])) * 1099511628211u;
  return sum;
}

constexpr uint64_t kSumOfNothing = 14695981039346656037u;

// By pieces: a state may be larger than what the keeper wants to hold beside its tables.
class Out {
 public:
  explicit Out(int fd) : fd_(fd) {}
  template <class T>
  void put(const T& item) {
    if (used_ + sizeof item > buffer_.size()) flush();
    std::memcpy(buffer_.data() + used_, &item, sizeof item);
    used_ += sizeof item;
  }
  void flush() {
    sum_ = sum_of(buffer_.data(), used_, sum_);
    for (size_t at = 0; good_ && at < used_;) {
      const ssize_t n = write(fd_, buffer_.data() + at, used_ - at);
      good_ = n > 0;
      at += good_ ? static_cast<size_t>(n) : 0;
    }
    used_ = 0;
  }
  bool good() const { return good_; }
  uint64_t sum() const { return sum_; }

 private:
  int fd_;
  std::array<char, 8192> buffer_;
  size_t used_ = 0;
  uint64_t sum_ = kSumOfNothing;
  bool good_ = true;
};

}  // namespace

Result<UniqueFd> write_state(StateHead head, EntryTable& entries, const FdTable& held) {
  UniqueFd file(memfd_create("tend-keeper-state", MFD_CLOEXEC));
  if (!file) return fail_errno("create the state");
  head.head_size = sizeof head;
  head.entry_size = sizeof(StateEntry);
  head.held_size = sizeof(StateHeld);
  head.entry_count = static_cast<uint32_t>(entries.all().size());
  head.held_count = 0;
  for (size_t i = 0; i < held.slots(); ++i) head.held_count += held.slot(i).name.empty() ? 0 : 1;
  head.sum = 0;
  Out out(file.get());
  out.put(head);
  for (const Entry& e : entries.all()) {
    StateEntry item;
    item.id = e.id;
    item.spawn = e.spawn;
    item.pid = e.pid;
    item.state = static_cast<uint8_t>(e.state);
    item.adopted = e.adopted ? 1 : 0;
    item.error_pipe = e.error_pipe ? e.error_pipe.get() : -1;
    item.pidfd = e.pidfd ? e.pidfd.get() : -1;
    item.result = e.result;
    item.detail = e.detail;
    item.repeats = e.repeats;
    if (e.again) {
      item.blob = e.again->blob.get();
      item.cgroup = e.again->cgroup ? e.again->cgroup.get() : -1;
      item.delay = e.again->delay.n;
      item.how = e.again->how;
      for (const UniqueFd& fd : e.again->same) item.same[item.same_count++] = fd.get();
    }
    out.put(item);
  }
  for (size_t i = 0; i < held.slots(); ++i) {
    const FdTable::Held& h = held.slot(i);
    if (h.name.empty()) continue;
    StateHeld item;
    h.name.copy(item.name, sizeof item.name - 1);
    item.fd = h.fd.get();
    out.put(item);
  }
  out.flush();
  const uint64_t sum = out.sum();
  if (!out.good() || pwrite(file.get(), &sum, sizeof sum, offsetof(StateHead, sum)) != sizeof sum)
    return fail_errno("write the state");
  return file;
}

Result<StateReader> StateReader::open(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno("stat the state");
  if (!S_ISREG(info.st_mode) || info.st_size < static_cast<off_t>(kLeastHead))
    return fail("no keeper's state");
  const auto size = static_cast<size_t>(info.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return fail_errno("map the state");
  StateReader reader(static_cast<const char*>(bytes), size);
  if (Status good = reader.check(); !good) return tl::unexpected<Error>(good.error());
  return reader;
}

StateReader::StateReader(StateReader&& other) noexcept
    : bytes_(std::exchange(other.bytes_, nullptr)), size_(other.size_), head_(other.head_) {}

StateReader::~StateReader() {
  if (bytes_ != nullptr) munmap(const_cast<char*>(bytes_), size_);
}

Status StateReader::check() {
  std::memcpy(&head_, bytes_, kLeastHead);
  if (head_.magic != kStateMagic) return fail("no keeper's state");
  if (head_.version > kStateVersion) {
    return fail("keeper state version " + std::to_string(head_.version) + "; this tend reads version " +
                std::to_string(kStateVersion));
  }
  const auto sane = [](uint32_t size, uint32_t least) {
    return size >= least && size <= kMaxStruct && size % 8 == 0;
  };
  const uint64_t whole = uint64_t{head_.head_size} + uint64_t{head_.entry_size} * head_.entry_count +
                         uint64_t{head_.held_size} * head_.held_count;
  if (head_.version == 0 || !sane(head_.head_size, kLeastHead) || !sane(head_.entry_size, kLeastEntry) ||
      !sane(head_.held_size, kLeastHeld) || head_.entry_count > EntryTable::kMax ||
      head_.held_count > kMaxHeld || whole != size_) {
    return fail("the keeper's state is not as long as it says");
  }
  std::memcpy(&head_, bytes_, std::min(sizeof head_, size_t{head_.head_size}));
  StateHead zeroed = head_;
  zeroed.sum = 0;
  uint64_t sum = sum_of(reinterpret_cast<const char*>(&zeroed),
                        std::min(sizeof zeroed, size_t{head_.head_size}), kSumOfNothing);
  if (head_.head_size > sizeof head_)
    sum = sum_of(bytes_ + sizeof head_, head_.head_size - sizeof head_, sum);
  sum = sum_of(bytes_ + head_.head_size, size_ - head_.head_size, sum);
  if (sum != head_.sum) return fail("the keeper's state is damaged");
  for (size_t i = 0; i < entries(); ++i) {
    if (entry(i).state > static_cast<uint8_t>(Entry::State::exited) || entry(i).pid < 0)
      return fail("the keeper's state has an entry of an unknown kind");
    const StateEntry e = entry(i);
    if (e.same_count > Repeat::kMaxFds || e.how.fd_count > Repeat::kMaxFds ||
        e.how.stop_code_count > Repeat::kMaxStopCodes)
      return fail("the keeper's state has a spawn with too many descriptors or stop codes");
  }
  for (size_t i = 0; i < held(); ++i) {
    const StateHeld h = held(i);
    if (h.fd < 0 || h.name[0] == '\0' || std::memchr(h.name, 0, sizeof h.name) == nullptr)
      return fail("the keeper's state has a descriptor without a name");
  }
  return {};
}

StateEntry StateReader::entry(size_t i) const {
  StateEntry out;
  std::memcpy(&out, bytes_ + head_.head_size + i * head_.entry_size,
              std::min(sizeof out, size_t{head_.entry_size}));
  return out;
}

StateHeld StateReader::held(size_t i) const {
  StateHeld out;
  std::memcpy(&out,
              bytes_ + head_.head_size + size_t{head_.entry_size} * head_.entry_count + i * head_.held_size,
              std::min(sizeof out, size_t{head_.held_size}));
  return out;
}

}  // namespace tend::keeper
