// A folder with files, and one beside it that nobody may see.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

struct Site {
  Site() {
    char name[] = "/tmp/tend-site-XXXXXX";
    above = ::mkdtemp(name);
    root = above + "/root";
    ::mkdir(root.c_str(), 0700);
    ::mkdir((above + "/root-beside").c_str(), 0700);
    put("../secret", "secret");
    put("../root-beside/secret", "secret");
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  ~Site() {
    std::error_code ignored;
    std::filesystem::remove_all(above, ignored);
  }
  void folder(const std::string& path) const { std::filesystem::create_directories(root + "/" + path); }
  void put(const std::string& path, const std::string& text = "x") const {
    std::ofstream(root + "/" + path) << text;
  }
  void link(const std::string& path, const std::string& target) const {
    std::filesystem::create_symlink(target, root + "/" + path);
  }

  std::string above, root;
};
