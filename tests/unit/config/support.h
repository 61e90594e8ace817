// What the tests of this room share: a folder of files, and a caller.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/config/config.h"

extern char** environ;

namespace tend::config {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/tend-config-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text, bool executable = false) const {
    const std::string file = path_ + '/' + name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
    if (executable) ::chmod(file.c_str(), 0755);
    return file;
  }

 private:
  std::string path_;
};

inline Context caller(const std::string& cwd, bool pm2) {
  Context context;
  context.cwd = cwd;
  context.user_home = "/home/someone";
  context.home = Home{"/home/someone/.tend", pm2};
  context.cpus = 4;
  context.pm2 = pm2;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const auto equals = variable.find('=');
    if (equals != std::string::npos)
      context.environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return context;
}

inline std::string variable(const Env& env, const std::string& name) {
  for (const auto& [key, value] : env) {
    if (key == name) return value;
  }
  return "(none)";
}

inline std::string messages(const Loaded& loaded) {
  std::string text;
  for (const Problem& p : loaded.problems) text += (p.fatal ? "! " : "? ") + p.message + '\n';
  return text;
}

}  // namespace tend::config
