#include "cmd/tend/host_linux.h"

#include <sys/statvfs.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "core/base/text.h"

namespace tend::cli {
namespace {

constexpr double kMega = 1024 * 1024;
constexpr double kGiga = kMega * 1024;
constexpr double kSector = 512;

struct Counters {
  double busy = 0, all = 0;                        // ticks of all CPUs
  double reads = 0, writes = 0;                    // bytes of whole disks
  std::map<std::string, std::vector<double>> net;  // interface: the 16 columns of /proc/net/dev
};

std::vector<std::string> lines_of(const char* path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void read_cpu(Counters& c) {
  for (const auto& line : lines_of("/proc/stat")) {
    if (!line.starts_with("cpu ")) continue;
    std::istringstream words(line.substr(4));
    double tick = 0;
    for (int column = 0; words >> tick && column < 8; ++column) {
      c.all += tick;
      if (column != 3 && column != 4) c.busy += tick;  // idle, iowait
    }
  }
}

void read_disks(Counters& c) {
  std::set<std::string> whole;
  for (const auto& line : lines_of("/proc/diskstats")) {
    std::istringstream words(line);
    std::string major, minor, name;
    double n[7] = {};
    if (!(words >> major >> minor >> name)) continue;
    for (double& v : n) words >> v;
    // A partition's name continues its disk's, which comes first.
    bool part = name.starts_with("loop") || name.starts_with("ram") || name.starts_with("dm-");
    for (const auto& disk : whole) part = part || name.starts_with(disk);
    if (part) continue;
    whole.insert(name);
    c.reads += n[2] * kSector;
    c.writes += n[6] * kSector;
  }
}

void read_net(Counters& c) {
  for (const auto& line : lines_of("/proc/net/dev")) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream words(line.substr(colon + 1));
    std::vector<double> columns;
    for (double v = 0; words >> v;) columns.push_back(v);
    const std::string name(trim(std::string_view(line).substr(0, colon)));
    if (columns.size() >= 16 && name != "lo") c.net[name] = std::move(columns);
  }
}

Counters look() {
  Counters c;
  read_cpu(c);
  read_disks(c);
  read_net(c);
  return c;
}

double tenth(double v) { return std::round(v * 10) / 10; }

void add_memory(std::vector<HostMetric>& out) {
  std::map<std::string, double> bytes;
  for (const auto& line : lines_of("/proc/meminfo")) {
    std::istringstream words(line);
    std::string name;
    double kib = 0;
    if (words >> name >> kib) bytes[name] = kib * 1024;
  }
  const double total = bytes["MemTotal:"], available = bytes["MemAvailable:"];
  out.push_back({"RAM Usage", total > 0 ? tenth((total - available) / total * 100) : 0, "%"});
  out.push_back({"RAM Total", total, "b"});
  out.push_back({"RAM Available", available, "b"});
  out.push_back({"RAM Active", bytes["Active:"], "b"});
}

void add_file_systems(std::vector<HostMetric>& out) {
  std::set<std::string> devices;
  for (const auto& line : lines_of("/proc/self/mounts")) {
    std::istringstream words(line);
    std::string device, mount;
    if (!(words >> device >> mount) || !device.starts_with("/dev/") || device.starts_with("/dev/loop") ||
        !devices.insert(device).second)
      continue;
    struct statvfs fs {};
    if (::statvfs(mount.c_str(), &fs) != 0 || fs.f_blocks == 0) continue;
    const double size = static_cast<double>(fs.f_blocks) * static_cast<double>(fs.f_frsize);
    const double used = static_cast<double>(fs.f_blocks - fs.f_bfree);
    const double seen = used + static_cast<double>(fs.f_bavail);
    out.push_back({"fs:use:" + mount, seen > 0 ? tenth(used / seen * 100) : 0, "%"});
    out.push_back({"fs:size:" + mount, tenth(size / kGiga), "gb"});
  }
}

double temperature() {
  double hottest = -1;
  for (int zone = 0; zone < 16; ++zone) {
    const auto lines = lines_of(("/sys/class/thermal/thermal_zone" + std::to_string(zone) + "/temp").c_str());
    if (lines.empty()) break;
    hottest = std::max(hottest, std::atof(lines[0].c_str()) / 1000);
  }
  return hottest;
}

}  // namespace

std::vector<HostMetric> host_metrics(Millis window) {
  const Counters a = look();
  std::this_thread::sleep_for(std::chrono::milliseconds(window.n));
  const Counters b = look();
  const double seconds = static_cast<double>(window.n) / 1000;
  const auto rate = [seconds](double before, double now) {
    return std::round((now - before) / seconds / kMega * 100) / 100;
  };
  std::vector<HostMetric> out;
  out.push_back({"CPU Usage", b.all > a.all ? tenth((b.busy - a.busy) / (b.all - a.all) * 100) : 0, "%"});
  out.push_back({"CPU Temperature", temperature(), "°C"});
  add_memory(out);
  for (const auto& [name, now] : b.net) {
    const auto before = a.net.find(name);
    if (before == a.net.end()) continue;
    const auto& was = before->second;
    out.push_back({"net:rx_5:" + name, rate(was[0], now[0]), "mb/s"});
    out.push_back({"net:tx_5:" + name, rate(was[8], now[8]), "mb/s"});
    const auto per_minute = [seconds, &was, &is = now](std::size_t column) {
      return (is[column] - was[column]) / seconds * 60;
    };
    out.push_back({"net:rx_errors_60:" + name, per_minute(2), "/min"});
    out.push_back({"net:tx_errors_60:" + name, per_minute(10), "/min"});
    out.push_back({"net:rx_dropped_60:" + name, per_minute(3), "/min"});
    out.push_back({"net:tx_dropped_60:" + name, per_minute(11), "/min"});
  }
  out.push_back({"Disk Reads", rate(a.reads, b.reads), "mb/s"});
  out.push_back({"Disk Writes", rate(a.writes, b.writes), "mb/s"});
  add_file_systems(out);
  return out;
}

}  // namespace tend::cli
