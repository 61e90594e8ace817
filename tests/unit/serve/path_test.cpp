// Nothing below the root is left by a path, however it is written.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <random>

#include "cmd/serve/root_linux.h"
#include "cmd/serve/url_path.h"
#include "tests/unit/serve/site.h"

using namespace tend::serve;

namespace {

std::string clean(std::string_view raw) {
  const auto path = clean_path(raw);
  if (path) return *path;
  return path.error() == PathFault::malformed ? "malformed"
         : path.error() == PathFault::outside ? "outside"
                                              : "hidden";
}

std::string read(const Opened& opened) {
  char text[64];
  const ssize_t n = ::read(opened.fd.get(), text, sizeof text);
  return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
}

}  // namespace

TEST_CASE("a path is decoded once and made plain") {
  CHECK(clean("/") == "");
  CHECK(clean("/a/b.txt") == "a/b.txt");
  CHECK(clean("//a///b/") == "a/b/");
  CHECK(clean("/a/./b/../c") == "a/c");
  CHECK(clean("/a/..") == "");
  CHECK(clean("/a/b/..") == "a/");
  CHECK(clean("/a/b/.") == "a/b/");
  CHECK(clean("/%61%2Fb") == "a/b");
  CHECK(clean("/a%20b%2525") == "a b%25");
  CHECK(clean("/%C3%A9") == "\xc3\xa9");
  CHECK(clean("http://host/x") == "x");
  CHECK(clean("http://host") == "");
}

TEST_CASE("a path that leads above the root is told from one that only goes up inside") {
  for (const char* const raw : {"/..", "/../etc/passwd", "/%2e%2e/x", "/.%2e/x", "/%2E./x", "/a/../../x",
                                "/a/..%2f..%2fx", "/..%2fx", "//../x", "http://host/../x"})
    CHECK_MESSAGE(clean(raw) == "outside", raw);
  CHECK(clean("/a/b/../../c") == "c");
}

TEST_CASE("what no file name has is malformed") {
  const std::string nul = std::string("/a") + '\0' + "b";
  CHECK(clean(nul) == "malformed");
  for (const char* const raw : {"", "*", "a", "/%", "/%4", "/%zz", "/%00", "/a%00.txt", "/a%0ab",
                                "/..\\..\\x", "/..%5c..%5cx", "/\x7f", "/\r"})
    CHECK_MESSAGE(clean(raw) == "malformed", raw);
}

TEST_CASE("names with a dot in front are hidden, but .well-known at the root") {
  for (const char* const raw :
       {"/.env", "/.git/config", "/a/.b/c", "/%2eenv", "/...", "/a/.well-known/x", "/.well-known/.x"})
    CHECK_MESSAGE(clean(raw) == "hidden", raw);
  CHECK(clean("/.well-known/acme-challenge/x") == ".well-known/acme-challenge/x");
}

TEST_CASE("an encoded path is what it was when it is decoded") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string name = "n";
    for (unsigned i = 0; i < random() % 12; ++i) {
      const char c = static_cast<char>(random());
      if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\' && c != '/') name += c;
    }
    const std::string encoded = encode_path(name);
    CHECK(clean("/" + encoded) == name);
    CHECK(encoded.find_first_of(" \"'<>&?#:") == std::string::npos);
  }
}

TEST_CASE("no text made of the pieces of an attack gives a path with a way out") {
  constexpr std::string_view kPieces[] = {"/",      "..", ".",   "%2e",    "%2f", "%5c",      "\\",
                                          "a",      "%",  "%00", "//",     "%25", "..;/",     ".../",
                                          "%c0%ae", "?",  "~",   "secret", ":",   "%2e%2e%2f"};
  std::mt19937 random(11);
  int good = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string raw = random() % 8 == 0 ? "" : "/";
    for (unsigned i = 0; i < 1 + random() % 10; ++i) raw += kPieces[random() % std::size(kPieces)];
    const auto path = clean_path(raw);
    if (!path) continue;
    ++good;
    const std::string framed = "/" + *path + (path->empty() || path->back() == '/' ? "" : "/");
    const bool bad = framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos ||
                     framed.find("//") != std::string::npos || path->find('\0') != std::string::npos ||
                     path->find('\\') != std::string::npos || (!path->empty() && path->front() == '/');
    INFO(raw << " -> " << *path);
    REQUIRE_FALSE(bad);
  }
  CHECK(good > 1000);
}

TEST_CASE("the root opens what is in it and nothing that a link leads out to, by either mechanism") {
  const Site site;
  site.folder("sub");
  site.put("page", "page");
  site.put("sub/inner", "inner");
  site.link("good", "sub/inner");
  site.link("up", "../secret");
  site.link("beside", "../root-beside");
  site.link("absolute", "/etc/passwd");
  site.link("loop", "loop");
  REQUIRE(::mkfifo((site.root + "/fifo").c_str(), 0600) == 0);
  for (const Confinement how : {Confinement::kernel, Confinement::looked_up}) {
    CAPTURE(how == Confinement::kernel);
    const Root root(site.root, how);
    CHECK(read(*root.open("page")) == "page");
    CHECK(read(*root.open("sub/inner")) == "inner");
    CHECK(read(*root.open("good")) == "inner");
    CHECK(root.open("")->is_folder());
    CHECK(root.open("sub/")->is_folder());
    CHECK(root.open("up").error() == EXDEV);
    CHECK(root.open("beside/secret").error() == EXDEV);
    CHECK(root.open("absolute").error() == EXDEV);
    CHECK(root.open("loop").error() == ELOOP);
    CHECK(root.open("fifo").error() == EACCES);
    CHECK(root.open("none").error() == ENOENT);
    CHECK(root.open("page/").error() == ENOTDIR);
    CHECK(root.open("../secret").error() == EXDEV);
    CHECK(root.open("sub/../../secret").error() == EXDEV);
  }
}

TEST_CASE("a root that is another folder later is followed") {
  const Site site;
  site.folder("one");
  site.folder("two");
  site.put("one/x", "1");
  site.put("two/x", "2");
  site.link("current", "one");
  const Root root(site.root + "/current");
  CHECK(read(*root.open("x")) == "1");
  std::filesystem::remove(site.root + "/current");
  CHECK(root.open("x").error() == ENOENT);
  site.link("current", "two");
  CHECK(read(*root.open("x")) == "2");
}
