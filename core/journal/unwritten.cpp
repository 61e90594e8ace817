#include "core/journal/unwritten.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <utility>

#include "ipc/msgpack.h"

namespace tend::journal {
namespace {

constexpr uint64_t kMagic = 0x3130574e55444e54;  // "TNDUNW01"
constexpr std::size_t kSize = 1u << 20;
constexpr std::size_t kKept = 64u << 10;  // what stays in memory of what was once needed

struct Head {
  uint64_t magic = 0;
  uint64_t used = 0;  // bytes of records behind the head; written last
};

struct Mark {  // before each body
  uint32_t id = 0;
  uint32_t size = 0;  // of the body in MessagePack; 0: deleted
};

static_assert(std::atomic_ref<uint64_t>::is_always_lock_free);

}  // namespace

struct Unwritten::Impl {
  ~Impl() {
    if (base) ::munmap(base, kSize);
  }
  Status map() {
    void* at = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return fail_errno("map the unwritten records");
    base = static_cast<char*>(at);
    return {};
  }
  std::atomic_ref<uint64_t> used() const { return std::atomic_ref(reinterpret_cast<Head*>(base)->used); }
  char* body() const { return base + sizeof(Head); }
  static constexpr std::size_t kRoom = kSize - sizeof(Head);

  UniqueFd fd;
  char* base = nullptr;
  bool full = false;
};

Unwritten::Unwritten(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Unwritten::Unwritten(Unwritten&&) noexcept = default;
Unwritten& Unwritten::operator=(Unwritten&&) noexcept = default;
Unwritten::~Unwritten() = default;

Result<Unwritten> Unwritten::create() {
  auto impl = std::make_unique<Impl>();
  impl->fd.reset(::memfd_create("tend-unwritten", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!impl->fd) return fail_errno("create memory for unwritten records");
  if (::ftruncate(impl->fd.get(), kSize) != 0) return fail_errno("size the unwritten records");
  // A shrunken file under a mapping would be SIGBUS.
  if (::fcntl(impl->fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0)
    return fail_errno("seal the unwritten records");
  if (auto ok = impl->map(); !ok) return tl::unexpected(ok.error());
  *reinterpret_cast<Head*>(impl->base) = Head{kMagic, 0};
  return Unwritten(std::move(impl));
}

Result<Unwritten> Unwritten::adopt(UniqueFd memfd) {
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(memfd);
  struct stat info {};
  if (::fstat(impl->fd.get(), &info) != 0 || info.st_size < static_cast<off_t>(kSize))
    return fail("not memory for unwritten records");
  if (auto ok = impl->map(); !ok) return tl::unexpected(ok.error());
  if (reinterpret_cast<Head*>(impl->base)->magic != kMagic || impl->used() > Impl::kRoom)
    return fail("not memory for unwritten records");
  return Unwritten(std::move(impl));
}

int Unwritten::fd() const { return impl_->fd.get(); }

void Unwritten::put(std::span<const Record> records) {
  if (impl_->full) return;
  const uint64_t begin = impl_->used();
  uint64_t end = begin;
  for (const Record& record : records) {
    const auto bytes = record.body.is_null() ? std::vector<std::uint8_t>() : ipc::to_msgpack(record.body);
    const Mark mark{record.id, static_cast<uint32_t>(bytes.size())};
    if (bytes.size() > Impl::kRoom || end + sizeof mark + bytes.size() > Impl::kRoom) {
      impl_->full = true;
      impl_->used().store(0, std::memory_order_release);
      return;
    }
    std::memcpy(impl_->body() + end, &mark, sizeof mark);
    if (!bytes.empty()) std::memcpy(impl_->body() + end + sizeof mark, bytes.data(), bytes.size());
    end += sizeof mark + bytes.size();
  }
  impl_->used().store(end, std::memory_order_release);
}

void Unwritten::clear() {
  const bool large = impl_->full || impl_->used() > kKept;
  impl_->used().store(0, std::memory_order_release);
  impl_->full = false;
  // Pages that stay are no harm, so neither is a failure.
  if (large) ::fallocate(impl_->fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kKept, kSize - kKept);
}

std::vector<Record> Unwritten::records() const {
  std::vector<Record> found;
  const uint64_t end = impl_->used();
  for (uint64_t at = 0; at + sizeof(Mark) <= end;) {
    Mark mark;
    std::memcpy(&mark, impl_->body() + at, sizeof mark);
    at += sizeof mark;
    if (mark.size > end - at) break;
    auto body = mark.size == 0
                    ? Result<Value>(Value())
                    : ipc::from_msgpack({reinterpret_cast<const std::byte*>(impl_->body() + at), mark.size});
    if (!body) break;
    found.push_back({mark.id, std::move(*body)});
    at += mark.size;
  }
  return found;
}

}  // namespace tend::journal
