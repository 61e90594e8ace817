#include "core/cluster/connections_linux.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "core/base/text.h"

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
void add_tcp(const std::string& file, const Inodes& held, const std::set<unsigned>& ports, Inodes& found) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    unsigned port = 0, state = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), " %*d: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*d %*d %llu", &port, &state,
                    &inode) != 3)
      continue;
    constexpr unsigned kEstablished = 1, kCloseWait = 8;
    if ((state == kEstablished || state == kCloseWait) && ports.count(port) != 0 && held.count(inode) != 0)
      found.insert(inode);
  }
}

// Num, RefCount, Protocol, Flags, Type, St, Inode, Path.
void add_unix(const std::string& file, const Inodes& held, const std::set<std::string>& paths,
              Inodes& found) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    unsigned state = 0;
    unsigned long long inode = 0;
    int path = 0;
    if (std::sscanf(line.c_str(), "%*x: %*x %*x %*x %*x %x %llu %n", &state, &inode, &path) != 2 || path == 0)
      continue;
    constexpr unsigned kConnected = 3;
    if (state == kConnected && held.count(inode) != 0 &&
        paths.count(line.substr(static_cast<std::size_t>(path))) != 0)
      found.insert(inode);
  }
}

}  // namespace

std::size_t open_connections(std::span<const int> pids, const std::vector<Address>& addresses) {
  std::set<unsigned> ports;
  std::set<std::string> paths;
  for (const Address& a : addresses) {
    if (a.transport == Transport::tcp) ports.insert(a.port);
    if (a.transport != Transport::unix_stream || a.path.empty()) continue;
    paths.insert(a.path.front() == '\0' ? "@" + a.path.substr(1) : a.path);
  }
  Inodes found;
  for (const int pid : pids) {
    const std::string process = "/proc/" + std::to_string(pid);
    const Inodes held = sockets_of(process);
    if (!ports.empty()) {
      add_tcp(process + "/net/tcp", held, ports, found);
      add_tcp(process + "/net/tcp6", held, ports, found);
    }
    if (!paths.empty()) add_unix(process + "/net/unix", held, paths, found);
  }
  return found.size();
}

}  // namespace tend::cluster
