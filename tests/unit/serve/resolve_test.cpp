#include "cmd/serve/resolve.h"

#include <doctest/doctest.h>

#include "cmd/serve/conditions.h"
#include "cmd/serve/root_linux.h"
#include "tests/unit/serve/site.h"

using namespace tend::serve;

namespace {

struct World {
  Site site;
  Settings settings;
  Resolved at(std::string_view path, uint8_t accepted = 0) const {
    return resolve(Root(site.root), settings, path, accepted);
  }
  // "200 a/index.html", "301 /a/", "list a/", "404"
  std::string shown(std::string_view path) const {
    const Resolved r = at(path);
    switch (r.kind) {
      case Resolved::Kind::file:
        return std::to_string(r.status) + " " + r.name;
      case Resolved::Kind::listing:
        return "list " + r.name;
      case Resolved::Kind::redirect:
        return std::to_string(r.status) + " " + r.location;
      case Resolved::Kind::error:
        break;
    }
    return std::to_string(r.status);
  }
};

}  // namespace

TEST_CASE("the root gives the homepage, a folder its index.html, at an address that ends in a slash") {
  World w;
  w.site.put("index.html");
  w.site.folder("a b");
  w.site.put("a b/index.html");
  w.site.folder("empty");
  CHECK(w.shown("/") == "200 index.html");
  CHECK(w.shown("/a%20b/") == "200 a b/index.html");
  CHECK(w.shown("/a%20b") == "301 /a%20b/");
  CHECK(w.shown("//a%20b") == "301 /a%20b/");
  CHECK(w.shown("/empty") == "404");
  CHECK(w.shown("/empty/") == "404");
  CHECK(w.shown("/index.html/") == "404");
  w.settings.homepage = "a b/index.html";
  CHECK(w.shown("/") == "200 a b/index.html");
}

TEST_CASE("no redirect leads to another host") {
  World w;
  w.site.folder("evil.example");
  w.site.put("evil.example/index.html");
  for (const char* const path :
       {"//evil.example", "///evil.example", "/%2fevil.example", "/x/..//evil.example"})
    CHECK_MESSAGE(w.shown(path) == "301 /evil.example/", path);
}

TEST_CASE("folders are listed only when that was asked for, and index.html wins") {
  World w;
  w.site.folder("a/b");
  CHECK(w.shown("/a/") == "404");
  w.settings.listing = true;
  CHECK(w.shown("/") == "list ");
  CHECK(w.shown("/a/") == "list a/");
  CHECK(w.shown("/a") == "301 /a/");
  w.site.put("a/index.html");
  CHECK(w.shown("/a/") == "200 a/index.html");
}

TEST_CASE("what is missing gives 404.html of the root with the status 404") {
  World w;
  CHECK(w.shown("/x") == "404");
  w.site.put("404.html");
  CHECK(w.shown("/x/y") == "404 404.html");
  CHECK(w.shown("/.env") == "404");
  CHECK(w.shown("/../x") == "403");
  CHECK(w.shown("/%zz") == "400");
}

TEST_CASE("a single-page application gets its homepage for paths, but not for assets that are missing") {
  World w;
  w.settings.spa = true;
  w.site.put("index.html");
  w.site.put("app.js");
  CHECK(w.shown("/users/7") == "200 index.html");
  CHECK(w.shown("/users/7.5") == "200 index.html");
  CHECK(w.shown("/users/app.js") == "200 app.js");
  CHECK(w.shown("/gone.js") == "404");
  CHECK(w.shown("/deep/page.html") == "200 index.html");
  CHECK(w.shown("/.git/config") == "404");
  w.settings.pm2 = true;
  CHECK(w.shown("/gone.js") == "200 index.html");
}

TEST_CASE("a link out of the root is refused, whatever else would be given") {
  World w;
  w.settings.spa = true;
  w.site.put("index.html");
  w.site.link("out", "../secret");
  CHECK(w.shown("/out") == "403");
  CHECK(w.shown("/out/") == "403");
}

TEST_CASE("a compressed sibling is sent to who takes it, the better one first") {
  World w;
  w.site.put("a.js", "plain");
  w.site.put("a.js.gz", "g");
  w.site.put("b.js");
  w.site.put("p.png");
  w.site.put("p.png.gz");
  CHECK(w.at("/a.js", kGzip | kBrotli).encoding == "gzip");
  w.site.put("a.js.br", "b!");
  CHECK(w.at("/a.js", kGzip | kBrotli).encoding == "br");
  CHECK(w.at("/a.js", kGzip).encoding == "gzip");
  const Resolved plain = w.at("/a.js", kPlain);
  CHECK(plain.encoding.empty());
  CHECK(plain.opened.st.st_size == 5);
  CHECK(plain.varies);
  CHECK(w.at("/a.js", kBrotli).opened.st.st_size == 2);
  CHECK(w.at("/a.js", kBrotli).name == "a.js");
  CHECK_FALSE(w.at("/b.js", kBrotli).varies);
  CHECK(w.at("/p.png", kGzip).encoding.empty());
}
