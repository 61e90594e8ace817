// Cost per frame, and its heap allocations, which must be none once the pool is warm: a benchmark that
// allocates fails.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ipc/crc32c.h"
#include "ipc/frame_reader.h"
#include "ipc/msgpack.h"
#include "ipc/send_queue.h"

namespace {
std::atomic<uint64_t> allocations{0};
}

void* operator new(std::size_t n) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using namespace tend;
using namespace tend::ipc;

constexpr std::size_t kPingPayload = 28;  // echo_seq8, mono_ns8, echo_ns8, lag_us4

void verdict(benchmark::State& state, uint64_t before) {
  const uint64_t n = allocations.load() - before;
  state.counters["allocs/frame"] = static_cast<double>(n) / static_cast<double>(state.iterations());
  if (n != 0) state.SkipWithError("allocates in steady state");
}

void header_encode_decode(benchmark::State& state) {
  std::array<std::byte, kHeaderSize + 256> bytes{};
  const auto payload =
      std::span<const std::byte>(bytes).subspan(kHeaderSize, static_cast<std::size_t>(state.range(0)));
  uint64_t sequence = 0;
  const uint64_t before = allocations.load();
  for (auto _ : state) {
    encode_header({FrameKind::request, 0, 1, 0, ++sequence}, payload, std::span(bytes).first<kHeaderSize>());
    Frame f;
    std::size_t consumed = 0;
    if (decode(std::span(bytes).first(kHeaderSize + payload.size()), f, consumed) != DecodeError::none)
      std::abort();
    benchmark::DoNotOptimize(f);
  }
  verdict(state, before);
}
BENCHMARK(header_encode_decode)->Arg(0)->Arg(kPingPayload)->Arg(256);

// A ping through a socket, and its pong back, by the very queue and reader of the RPC.
void ping_pong(benchmark::State& state) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) std::abort();
  BufferPool pool;
  SendQueue here(pool), there(pool);
  FrameReader in_here(pool), in_there(pool);
  const std::array<std::byte, kPingPayload> payload{};
  uint64_t sequence = 0;
  const auto pass = [](SendQueue& out, int from, FrameReader& in, int to, Frame& f) {
    if (out.flush(from) != SendQueue::Flush::done) std::abort();
    const auto room = in.room();
    const ssize_t n = ::recv(to, room.data(), room.size(), 0);
    if (n <= 0) std::abort();
    in.filled(static_cast<std::size_t>(n));
    if (in.next(f) != DecodeError::none) std::abort();
  };
  const auto round = [&] {
    Frame f;
    here.push({FrameKind::ping, 0, 1, 0, ++sequence}, payload);
    pass(here, fds[0], in_there, fds[1], f);
    there.push({FrameKind::pong, 0, f.header.stream, 0, f.header.sequence}, f.payload);
    in_there.next(f);
    pass(there, fds[1], in_here, fds[0], f);
    if (f.header.sequence != sequence) std::abort();
    in_here.next(f);
  };
  round();  // warms the pool
  const uint64_t before = allocations.load();
  for (auto _ : state) round();
  verdict(state, before);
  ::close(fds[0]);
  ::close(fds[1]);
}
BENCHMARK(ping_pong);

void crc(benchmark::State& state, uint32_t (*f)(std::span<const std::byte>, uint32_t)) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(f(bytes, 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(crc, table, crc32c_table)->Arg(64)->Arg(8192);
BENCHMARK_CAPTURE(crc, chosen, crc32c)->Arg(64)->Arg(8192);

Value list_of(int64_t apps) {
  List list;
  for (int64_t i = 0; i < apps; ++i) {
    list.push_back(Map{{"name", "app" + std::to_string(i)},
                       {"id", i},
                       {"pid", 1000 + i},
                       {"status", "online"},
                       {"cpu", 1.5},
                       {"memory", i * 4096},
                       {"restarts", 0},
                       {"uptime", 123456}});
  }
  return Map{{"ok", std::move(list)}};
}

void msgpack_list(benchmark::State& state) {
  const Value v = list_of(state.range(0));
  for (auto _ : state) {
    const auto bytes = to_msgpack(v);
    const auto back = from_msgpack(std::as_bytes(std::span(bytes)), kMaxOwnItems);
    if (!back) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(msgpack_list)->Arg(10)->Arg(1000)->Arg(5000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
