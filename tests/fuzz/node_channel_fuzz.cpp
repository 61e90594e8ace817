// What an app writes into its channel: lines, handles with and without descriptors, garbage, and what a
// predecessor left behind. Each value is passed on once, each handle is answered once, no descriptor stays
// open. A broken promise aborts. The first byte: bit 0 a predecessor's ACK is owed, bit 1 a line's begin is
// lost, bit 2 descriptors ride along, the rest how long the pieces are.
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/loop/loop.h"
#include "ipc/fd_passing_linux.h"
#include "ipc/msgpack.h"
#include "ipc/node_channel.h"

using namespace tend;
using namespace tend::ipc;

namespace {

constexpr std::size_t kMost = 32'000;  // fits the socket: nothing here waits for a timer
constexpr std::string_view kAck = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";

void expect(bool promise) {
  if (!promise) std::abort();
}

struct Expected {
  std::vector<std::string> messages;
  std::size_t acks = 0;
};

// The same by the simplest means: all of it, line by line.
Expected understand(std::string_view text, ChannelDebt left) {
  Expected e;
  bool lost = left.half_line;
  for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    const std::string_view line = text.substr(0, end);
    if (std::exchange(lost, false)) {
      e.acks += left.ack ? 1 : 0;
      continue;
    }
    const auto value = from_json(line);
    if (!value) continue;
    const std::string cmd = value->at("cmd").text();
    const Value* inner = value->map().find("msg");
    if (cmd == "NODE_HANDLE") ++e.acks;
    if (cmd == "NODE_HANDLE" && inner != nullptr) e.messages.push_back(to_json(*inner));
    if (!cmd.starts_with("NODE_HANDLE") ||
        (cmd != "NODE_HANDLE" && cmd != "NODE_HANDLE_ACK" && cmd != "NODE_HANDLE_NACK"))
      e.messages.push_back(to_json(*value));
  }
  return e;
}

void write_pieces(int app, std::string_view text, std::size_t piece, bool descriptors) {
  const int rider = 2;
  while (!text.empty()) {
    const auto now = text.substr(0, piece);
    const auto sent =
        send_with_fds(app, std::as_bytes(std::span(now)), std::span<const int>(&rider, descriptors ? 1 : 0));
    expect(sent && *sent == now.size());
    text.remove_prefix(now.size());
  }
}

std::string answers(int app) {
  std::string all(1u << 20, '\0');
  std::size_t n = 0;
  for (ssize_t got = 0; (got = ::recv(app, all.data() + n, all.size() - n, MSG_DONTWAIT)) > 0;)
    n += static_cast<std::size_t>(got);
  all.resize(n);
  return all;
}

bool all_read(int app) {
  int unread = 0;
  return ::ioctl(app, SIOCOUTQ, &unread) == 0 && unread == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMost) return 0;
  const ChannelDebt left{(data[0] & 1) != 0, (data[0] & 2) != 0};
  const std::string text = std::string(reinterpret_cast<const char*>(data + 1), size - 1) + "\n";
  const std::size_t piece = std::max<std::size_t>(text.size() / 64, 1 + (data[0] >> 3));

  int ends[2];
  expect(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd app(ends[1]);
  loop::Loop loop;
  std::vector<std::string> messages;
  ChannelDebt debt = left;
  bool closed = false;
  write_pieces(app.get(), text, piece, (data[0] & 4) != 0);
  {
    NodeChannel channel(
        loop, UniqueFd(ends[0]), [&](Value v) { messages.push_back(to_json(v)); }, [&] { closed = true; },
        left, [&](const ChannelDebt& now) { debt = now; });
    for (int turn = 0; turn < 10'000 && !all_read(app.get()); ++turn) uv_run(loop.raw(), UV_RUN_NOWAIT);
    uv_run(loop.raw(), UV_RUN_NOWAIT);
  }
  expect(all_read(app.get()) && !closed && debt == ChannelDebt{});

  const Expected expected = understand(text, left);
  expect(messages == expected.messages);
  const std::string answer = answers(app.get());
  const std::size_t acks = answer.size() / kAck.size();
  expect(answer.size() % kAck.size() == 0);
  for (std::size_t i = 0; i < acks; ++i) expect(answer.substr(i * kAck.size(), kAck.size()) == kAck);
  // One that a predecessor owes for a line that is gone is sent unless what follows shows that it was.
  const bool unsure = left.ack && !left.half_line;
  expect(acks == expected.acks || (unsure && acks == expected.acks + 1));
  return 0;
}
