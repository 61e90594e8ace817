#include "core/logs/stash.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace tend::logs {
namespace {

constexpr uint64_t kMagic = 0x31485341'54534e54u;
constexpr std::size_t kHead = 4096;
constexpr std::size_t kSpace = 384u << 10;  // a longest line, and a chunk worth a system call
constexpr uint64_t kContinued = uint64_t{1} << 63;

}  // namespace

std::string note_keepsake(const StreamKey& key) {
  return "note/" + std::to_string(key.id) + "." + std::to_string(key.spawn) +
         (key.channel == Channel::out ? ".o" : ".e");
}

// Each field is stored whole; the order of stores is the protocol. A process that is killed has its stores in
// the page cache in program order, so no fence beyond the compiler's is needed.
struct Stash::Note {
  uint64_t magic = kMagic;
  std::atomic<uint64_t> handled{0};  // bytes, and kContinued
  std::atomic<uint64_t> pending{
      0};                          // what `handled` becomes when the write is done; 0: no write is under way
  std::atomic<uint64_t> moved{0};  // 1 + length of a rest that was copied to the front; 0: none
  std::array<Target, kFiles> targets{};
  std::array<std::atomic<uint8_t>, kFiles> written{};
};

Stash::Stash(Stash&& other) noexcept
    : fd_(std::move(other.fd_)), note_(std::exchange(other.note_, nullptr)) {}

Stash& Stash::operator=(Stash&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(note_, other.note_);
  return *this;
}

Stash::~Stash() {
  if (note_ != nullptr) ::munmap(note_, kHead + kSpace);
}

Result<Stash> Stash::create() {
  UniqueFd fd(::memfd_create("tend-stash", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), kHead + kSpace) != 0) return fail_errno("memfd_create");
  void* map = ::mmap(nullptr, kHead + kSpace, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return fail_errno("mmap");
  Stash stash(std::move(fd), new (map) Note);
  stash.seek(0);
  return stash;
}

Result<Stash> Stash::adopt(UniqueFd fd) {
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_size != static_cast<off_t>(kHead + kSpace)) {
    return fail("a log note of another size");
  }
  void* map = ::mmap(nullptr, kHead + kSpace, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return fail_errno("mmap");
  Stash stash(std::move(fd), static_cast<Note*>(map));
  Note& note = *stash.note_;
  if (note.magic != kMagic) return fail("a log note of another version");
  if (const uint64_t moved = note.moved; moved > 0) {  // the copy was complete: finish the move
    stash.seek(static_cast<std::size_t>(moved - 1));
    note.handled = note.handled & kContinued;
    note.moved = 0;
  }
  if (stash.filled() > kSpace) return fail("a log note with a wrong position");
  // Killed between the two steps of a reset: the position went back first.
  if (stash.handled() > stash.filled()) note.handled = note.handled & kContinued;
  if ((note.pending & ~kContinued) > stash.filled()) note.pending = 0;
  return stash;
}

std::size_t Stash::filled() const {
  return static_cast<std::size_t>(::lseek(fd_.get(), 0, SEEK_CUR)) - kHead;
}
std::size_t Stash::handled() const { return static_cast<std::size_t>(note_->handled & ~kContinued); }
const char* Stash::bytes() const { return reinterpret_cast<const char*>(note_) + kHead; }
void Stash::seek(std::size_t filled) { ::lseek(fd_.get(), static_cast<off_t>(kHead + filled), SEEK_SET); }
bool Stash::continued() const { return (note_->handled & kContinued) != 0; }

std::string_view Stash::data() const {
  const std::size_t from = handled();
  return {bytes() + from, filled() - from};
}

std::size_t Stash::room() {
  const std::size_t from = handled(), rest = filled() - from;
  if (from == 0) return kSpace - rest;
  // The copy must not touch what it copies: until `moved` is stored, the old place counts.
  if (rest > from || (rest > 0 && kSpace - from - rest > kSpace / 2)) return kSpace - from - rest;
  if (rest > 0) {
    std::memcpy(reinterpret_cast<char*>(note_) + kHead, bytes() + from, rest);
    note_->moved = rest + 1;
  }
  seek(rest);
  note_->handled = note_->handled & kContinued;
  note_->moved = 0;
  return kSpace - rest;
}

ssize_t Stash::fill(int pipe, std::size_t want) {
  return ::splice(pipe, nullptr, fd_.get(), nullptr, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

void Stash::begin(std::size_t used, bool continued_after, const std::array<Target, kFiles>& targets) {
  note_->targets = targets;
  for (auto& w : note_->written) w = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  note_->pending = (handled() + used) | (continued_after ? kContinued : 0);
}

void Stash::commit() {
  note_->handled = note_->pending.load();
  note_->pending = 0;
}

std::optional<std::size_t> Stash::pending() const {
  const uint64_t end = note_->pending & ~kContinued;
  if (end <= handled()) return std::nullopt;
  return static_cast<std::size_t>(end) - handled();
}

Stash::Target Stash::target(std::size_t i) const { return note_->targets[i]; }
bool Stash::written(std::size_t i) const { return note_->written[i] != 0; }
void Stash::set_written(std::size_t i) { note_->written[i] = 1; }

void Stash::set_target(std::size_t i, const Target& target) {
  note_->targets[i].start = target.start;
  note_->targets[i].length = target.length;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  note_->targets[i].hash = target.hash;  // from here on it counts
}

void Stash::set_settled(std::size_t i) { note_->targets[i].hash = 0; }

void Stash::release_memory() {
  // Only the first pages are reused by a quiet stream.
  constexpr off_t kKept = kHead + (16 << 10);
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kKept, kHead + kSpace - kKept);
}

}  // namespace tend::logs
