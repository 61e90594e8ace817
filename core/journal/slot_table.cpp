#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "core/base/failpoint.h"
#include "core/journal/journal.h"

namespace tend::journal {
namespace {

constexpr uint64_t kMagic = 0x53544f4c53444e54;  // "TNDSLOTS"
// Counts every change of Slot or lifecycle::State. A newer one is refused; who counts it up keeps a reader of
// the former ones, for which a table of each is among the tests.
constexpr uint32_t kLayout = 6;
constexpr uint32_t kMaxCapacity = 1u << 20;

struct Head {
  uint64_t magic = 0;
  uint32_t layout = 0;
  uint32_t slot_size = 0;
  uint32_t capacity = 0;  // written last when growing
  uint32_t workers = 0;   // numbers given
  uint32_t reserved[2] = {};
};

enum : uint32_t { kFree = 0, kFirst = 1, kSecond = 2 };  // which copy counts

struct Cell {
  alignas(8) uint32_t valid = kFree;
  Slot copies[2];
};

static_assert(std::is_trivially_copyable_v<Slot>);
static_assert(std::atomic_ref<uint32_t>::is_always_lock_free);

std::size_t bytes_for(uint32_t capacity) { return sizeof(Head) + std::size_t{capacity} * sizeof(Cell); }

}  // namespace

struct SlotTable::Impl {
  ~Impl() {
    if (base) ::munmap(base, bytes_for(capacity));
  }
  Head& head() { return *static_cast<Head*>(base); }
  Cell& cell(uint32_t i) { return reinterpret_cast<Cell*>(static_cast<char*>(base) + sizeof(Head))[i]; }

  Status map(uint32_t n) {
    void* at = ::mmap(nullptr, bytes_for(n), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return fail_errno("map the slot table");
    base = at;
    capacity = n;
    return {};
  }

  bool grow() {
    const uint32_t n = std::min(capacity * 2, kMaxCapacity);
    if (n <= capacity || ::ftruncate(fd.get(), static_cast<off_t>(bytes_for(n))) != 0) return false;
    void* at = ::mremap(base, bytes_for(capacity), bytes_for(n), MREMAP_MAYMOVE);
    if (at == MAP_FAILED) return false;
    base = at;
    for (uint32_t i = n; i-- > capacity;) free.push_back(i);
    capacity = n;
    std::atomic_ref(head().capacity).store(n, std::memory_order_release);
    return true;
  }

  UniqueFd fd;
  void* base = nullptr;
  uint32_t capacity = 0;
  std::unordered_map<uint32_t, uint32_t> cell_of;  // by Slot::id
  std::vector<uint32_t> free;                      // the lowest last
};

SlotTable::SlotTable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SlotTable::SlotTable(SlotTable&&) noexcept = default;
SlotTable& SlotTable::operator=(SlotTable&&) noexcept = default;
SlotTable::~SlotTable() = default;

Result<SlotTable> SlotTable::create(uint32_t capacity) {
  capacity = std::clamp(capacity, 1u, kMaxCapacity);
  auto impl = std::make_unique<Impl>();
  impl->fd.reset(::memfd_create("tend-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!impl->fd) return fail_errno("create the slot table");
  if (::ftruncate(impl->fd.get(), static_cast<off_t>(bytes_for(capacity))) != 0)
    return fail_errno("size the slot table");
  // A shrunken file under a mapping would be SIGBUS.
  if (::fcntl(impl->fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) return fail_errno("seal the slot table");
  if (auto ok = impl->map(capacity); !ok) return tl::unexpected(ok.error());
  impl->head() = Head{kMagic, kLayout, sizeof(Slot), capacity, 0, {}};
  for (uint32_t i = capacity; i-- > 0;) impl->free.push_back(i);
  return SlotTable(std::move(impl));
}

namespace {

Result<Head> read_head(int memfd) {
  struct stat info {};
  if (::fstat(memfd, &info) != 0) return fail_errno("stat the slot table");
  Head head;
  if (::pread(memfd, &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head) || head.magic != kMagic)
    return fail("not a slot table of tend");
  if (head.layout != kLayout || head.slot_size != sizeof(Slot)) {
    return fail("slot table version " + std::to_string(head.layout) + "; this tend reads version " +
                    std::to_string(kLayout),
                head.layout > kLayout ? EPROTONOSUPPORT : 0);
  }
  if (head.capacity == 0 || head.capacity > kMaxCapacity ||
      info.st_size < static_cast<off_t>(bytes_for(head.capacity)))
    return fail("the slot table is shorter than it says");
  return head;
}

}  // namespace

Status SlotTable::check(int memfd) {
  return read_head(memfd).map([](const Head&) {});
}

Result<SlotTable> SlotTable::adopt(UniqueFd memfd) {
  auto read = read_head(memfd.get());
  if (!read) return tl::unexpected(read.error());
  const Head& head = *read;
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(memfd);
  if (auto ok = impl->map(head.capacity); !ok) return tl::unexpected(ok.error());
  for (uint32_t i = head.capacity; i-- > 0;) {
    Cell& cell = impl->cell(i);
    const bool used = cell.valid == kFirst || cell.valid == kSecond;
    if (!used || !impl->cell_of.emplace(cell.copies[cell.valid - kFirst].id, i).second) {
      cell.valid = kFree;
      impl->free.push_back(i);
    }
  }
  return SlotTable(std::move(impl));
}

int SlotTable::fd() const { return impl_->fd.get(); }

bool SlotTable::put(const Slot& slot) {
  failpoint("slots.put.before");
  const auto known = impl_->cell_of.find(slot.id);
  if (known == impl_->cell_of.end() && impl_->free.empty() && !impl_->grow()) return false;
  const uint32_t index = known != impl_->cell_of.end() ? known->second : impl_->free.back();
  Cell& cell = impl_->cell(index);
  const uint32_t next = cell.valid == kFirst ? kSecond : kFirst;
  Slot& copy = cell.copies[next - kFirst];
  copy = slot;
  copy.cause_text[std::size(copy.cause_text) - 1] = '\0';
  copy.status_text[std::size(copy.status_text) - 1] = '\0';
  failpoint("slots.put.copied");
  std::atomic_ref(cell.valid).store(next, std::memory_order_release);
  failpoint("slots.put.after");
  if (known == impl_->cell_of.end()) {
    impl_->free.pop_back();
    impl_->cell_of.emplace(slot.id, index);
  }
  return true;
}

void SlotTable::erase(uint32_t id) {
  const auto known = impl_->cell_of.find(id);
  if (known == impl_->cell_of.end()) return;
  failpoint("slots.erase.before");
  std::atomic_ref(impl_->cell(known->second).valid).store(kFree, std::memory_order_release);
  impl_->free.push_back(known->second);
  impl_->cell_of.erase(known);
  failpoint("slots.erase.after");
}

std::vector<Slot> SlotTable::all() const {
  std::vector<Slot> slots;
  slots.reserve(impl_->cell_of.size());
  for (const auto& [id, index] : impl_->cell_of) {
    const Cell& cell = impl_->cell(index);
    slots.push_back(cell.copies[cell.valid - kFirst]);
  }
  std::sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) { return a.id < b.id; });
  return slots;
}

uint32_t SlotTable::next_worker() { return ++impl_->head().workers; }

}  // namespace tend::journal
