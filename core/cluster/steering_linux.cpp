#include "core/cluster/steering_linux.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace tend::cluster {
namespace {

constexpr int kAttachReuseportCbpf = 51;  // SO_ATTACH_REUSEPORT_CBPF
constexpr std::size_t kMaxMembers = 128;

constexpr uint32_t kProbeNetwork = 0x7f54;  // 127.84.0.0/16

using Program = std::vector<sock_filter>;

void op(Program& p, unsigned code, uint32_t k, unsigned yes = 0, unsigned no = 0) {
  p.push_back({static_cast<uint16_t>(code), static_cast<uint8_t>(yes), static_cast<uint8_t>(no), k});
}

// A holds a number: the member at A mod their count.
void pick(Program& p, std::span<const uint32_t> members) {
  op(p, BPF_ALU | BPF_MOD | BPF_K, static_cast<uint32_t>(members.size()));
  for (uint32_t i = 0; i + 1 < members.size(); ++i) {
    op(p, BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
    op(p, BPF_RET | BPF_K, members[i]);
  }
  op(p, BPF_RET | BPF_K, members.back());
}

void load_network(Program& p, uint32_t offset, unsigned size) {
  op(p, BPF_LD | BPF_ABS | size, static_cast<uint32_t>(SKF_NET_OFF) + offset);
}

// Who comes from 127.84.x.y has asked for the socket x * 256 + y: a probe of one process behind a shared
// port.
void by_source(Program& p, uint32_t slots) {
  load_network(p, 0, BPF_B);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 4);
  op(p, BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 8);
  load_network(p, 12, BPF_W);
  op(p, BPF_ST, 2);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 16);
  op(p, BPF_JMP | BPF_JEQ | BPF_K, kProbeNetwork, 0, 4);
  op(p, BPF_LD | BPF_MEM, 2);
  op(p, BPF_ALU | BPF_AND | BPF_K, 0xffff);
  op(p, BPF_JMP | BPF_JGE | BPF_K, slots, 1, 0);
  op(p, BPF_RET | BPF_A, 0);
}

// A: a hash of the peer's address, mixed so that neighbours spread. The program sees the packet, so a dual
// socket's IPv4 peer comes as IPv4.
void hash_peer(Program& p) {
  load_network(p, 0, BPF_B);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 4);
  op(p, BPF_JMP | BPF_JEQ | BPF_K, 6, 2, 0);
  load_network(p, 12, BPF_W);
  op(p, BPF_JMP | BPF_JA, 10);
  load_network(p, 8, BPF_W);
  for (const uint32_t offset : {12u, 16u, 20u}) {
    op(p, BPF_MISC | BPF_TAX, 0);
    load_network(p, offset, BPF_W);
    op(p, BPF_ALU | BPF_XOR | BPF_X, 0);
  }
  op(p, BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1);
  op(p, BPF_MISC | BPF_TAX, 0);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 16);
  op(p, BPF_ALU | BPF_XOR | BPF_X, 0);
  op(p, BPF_ALU | BPF_MUL | BPF_K, 0x85ebca6b);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 8);
}

// A holds a number that stays as it is; of its other bits the share is decided.
void part(Program& p, const Share& share) {
  op(p, BPF_ST, 1);
  op(p, BPF_ALU | BPF_RSH | BPF_K, 9);
  op(p, BPF_ALU | BPF_MOD | BPF_K, 100);
  op(p, BPF_JMP | BPF_JGE | BPF_K, share.percent, 1, 0);
  op(p, BPF_RET | BPF_K, share.member);
  op(p, BPF_LD | BPF_MEM, 1);
}

// First over all slots, so that who meets a member stays there when another one goes; then over those that
// are in.
void by_peer(Program& p, std::span<const uint32_t> members, uint32_t slots,
             const std::optional<Share>& share) {
  hash_peer(p);
  if (share) part(p, *share);
  if (members.size() < slots) {
    op(p, BPF_ST, 0);
    op(p, BPF_ALU | BPF_MOD | BPF_K, slots);
    for (const uint32_t member : members) {
      op(p, BPF_JMP | BPF_JEQ | BPF_K, member, 0, 1);
      op(p, BPF_RET | BPF_K, member);
    }
    op(p, BPF_LD | BPF_MEM, 0);
    op(p, BPF_ALU | BPF_DIV | BPF_K, slots);  // other bits than those that chose the slot
  }
  pick(p, members);
}

}  // namespace

Status steer(int any_member, Spread spread, std::span<const uint32_t> members, uint32_t slots,
             std::optional<Share> share) {
  if (members.empty() || members.size() > kMaxMembers) return fail("steer: found no members", EINVAL);
  Program p;
  by_source(p, slots);
  if (spread == Spread::by_peer) {
    by_peer(p, members, std::max(slots, members.back() + 1), share);
  } else {
    op(p, BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM));
    if (share) part(p, *share);
    pick(p, members);
  }
  const sock_fprog program{static_cast<unsigned short>(p.size()), p.data()};
  if (::setsockopt(any_member, SOL_SOCKET, kAttachReuseportCbpf, &program, sizeof program) != 0)
    return fail_errno("steer connections");
  return {};
}

std::string address_for(uint32_t slot) {
  return "127.84." + std::to_string(slot >> 8 & 0xff) + "." + std::to_string(slot & 0xff);
}

}  // namespace tend::cluster
