#include "core/cluster/connections_linux.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

namespace tend::cluster {
namespace {

using Inodes = std::set<unsigned long long>;

Inodes sockets_of(const std::string& process) {
  Inodes found;
  const std::string folder = process + "/fd/";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    char target[64];
    const ssize_t n = ::readlink((folder + entry->d_name).c_str(), target, sizeof target - 1);
    if (n <= 0) continue;
    target[n] = '\0';
    unsigned long long inode = 0;
    if (std::sscanf(target, "socket:[%llu]", &inode) == 1) found.insert(inode);
  }
  return found;
}

// proc(5): sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode. A client that has
// closed its side (CLOSE_WAIT) may still wait for an answer.
void add_connections(const std::string& file, const Inodes& held, const std::set<uint16_t>& ports,
                     Inodes& found) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    unsigned port = 0, state = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), " %*d: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*d %*d %llu", &port, &state,
                    &inode) != 3)
      continue;
    constexpr unsigned kEstablished = 1, kCloseWait = 8;
    if ((state == kEstablished || state == kCloseWait) && ports.count(static_cast<uint16_t>(port)) != 0 &&
        held.count(inode) != 0)
      found.insert(inode);
  }
}

}  // namespace

std::size_t open_connections(std::span<const int> pids, const std::set<uint16_t>& ports) {
  Inodes found;
  for (const int pid : pids) {
    const std::string process = "/proc/" + std::to_string(pid);
    const Inodes held = sockets_of(process);
    add_connections(process + "/net/tcp", held, ports, found);
    add_connections(process + "/net/tcp6", held, ports, found);
  }
  return found.size();
}

}  // namespace tend::cluster
