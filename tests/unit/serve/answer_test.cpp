#include "cmd/serve/answer.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "cmd/serve/access_log.h"
#include "cmd/serve/listing.h"
#include "cmd/serve/root_linux.h"
#include "tests/unit/serve/site.h"

using namespace tend::serve;

namespace {

std::string field(const Headers& headers, std::string_view name) {
  const auto at =
      std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return h.first == name; });
  return at == headers.end() ? "" : at->second;
}

Document made(const Site& site, const Settings& settings, std::string_view path, uint8_t accepted = 0) {
  const Root root(site.root);
  return make_document(root, settings, resolve(root, settings, path, accepted));
}

}  // namespace

TEST_CASE("pages are asked for again, hashed files for a year not, others as was set") {
  const Site site;
  Settings settings;
  settings.cache_control = "max-age=60";
  for (const char* const name : {"a.html", "a.3f9a2c1b.js", "a.png"}) site.put(name);
  CHECK(field(made(site, settings, "/a.html").headers, "Cache-Control") == "no-cache");
  CHECK(field(made(site, settings, "/a.3f9a2c1b.js").headers, "Cache-Control") ==
        "public, max-age=31536000, immutable");
  CHECK(field(made(site, settings, "/a.png").headers, "Cache-Control") == "max-age=60");
  settings.credentials = "x";
  CHECK(field(made(site, settings, "/a.3f9a2c1b.js").headers, "Cache-Control") ==
        "private, max-age=31536000, immutable");
}

TEST_CASE("a compressed form has a tag of its own and the type of what is in it") {
  const Site site;
  const Settings settings;
  site.put("a.css", "long");
  site.put("a.css.gz", "g");
  const Document plain = made(site, settings, "/a.css"), packed = made(site, settings, "/a.css", kGzip);
  CHECK(plain.version.etag != packed.version.etag);
  CHECK(field(packed.headers, "Content-Encoding") == "gzip");
  CHECK(field(packed.headers, "Content-Type") == "text/css; charset=utf-8");
  CHECK(field(plain.headers, "Content-Encoding") == "");
  CHECK(field(plain.headers, "Vary") == "Accept-Encoding");
  CHECK(field(packed.headers, "Vary") == "Accept-Encoding");
}

TEST_CASE("small files are held in memory, large ones by their descriptor") {
  const Site site;
  site.put("small", std::string(kSmall, 'x'));
  site.put("large", std::string(kSmall + 1, 'x'));
  const Document small = made(site, {}, "/small"), large = made(site, {}, "/large");
  CHECK(small.body.size() == kSmall);
  CHECK_FALSE(small.fd);
  CHECK(large.body.empty());
  CHECK(large.fd);
  CHECK(large.version.size == kSmall + 1);
}

TEST_CASE("every answer forbids guessing its type, and CORS is there when it was asked for") {
  const Site site;
  Settings settings;
  CHECK(field(made(site, settings, "/none").headers, "X-Content-Type-Options") == "nosniff");
  CHECK(field(made(site, settings, "/none").headers, "Access-Control-Allow-Origin") == "");
  settings.cors = true;
  CHECK(field(made(site, settings, "/none").headers, "Access-Control-Allow-Origin") == "*");
  CHECK(made(site, settings, "/none").body == "404 Not Found");
  CHECK(field(make_error(settings, 405).headers, "Allow") == "GET, HEAD");
  CHECK(field(make_error(settings, 401).headers, "WWW-Authenticate") ==
        "Basic realm=\"Authentication service\"");
}

TEST_CASE("a part tells where it is, and 304 says nothing of a body") {
  const Site site;
  site.put("a.txt", "0123456789");
  const Document d = made(site, {}, "/a.txt");
  CHECK(field(portion_headers(d, {206, 2, 3}), "Content-Range") == "bytes 2-4/10");
  CHECK(field(portion_headers(d, {416, 0, 0}), "Content-Range") == "bytes */10");
  CHECK(field(portion_headers(d, {304, 0, 0}), "Content-Type") == "");
  CHECK(field(portion_headers(d, {304, 0, 0}), "ETag") == d.version.etag);
}

TEST_CASE("a listing shows folders first and nothing hidden, special or outside") {
  const Site site;
  site.folder("z folder");
  site.put("a.txt", std::string(2048, 'x'));
  site.put(".hidden");
  site.link("out", "../secret");
  site.link("in", "a.txt");
  const Root root(site.root);
  auto top = root.open("");
  REQUIRE(top);
  const std::vector<Item> items = list_folder(root, "", top->fd.get());
  REQUIRE(items.size() == 3);
  CHECK(items[0].name == "z folder");
  CHECK(items[1].name == "a.txt");
  CHECK(items[2].name == "in");
  const std::string page = listing_page("", items);
  CHECK(page.find("<title>Index of /</title>") != std::string::npos);
  CHECK(page.find("<a href=\"./z%20folder/\">z folder/</a>") != std::string::npos);
  CHECK(page.find("2.0 KB") != std::string::npos);
  CHECK(page.find("../") == std::string::npos);
}

TEST_CASE("no name of a file becomes markup") {
  const std::string evil = "\"><script>alert('x')</script>&";
  const std::string page =
      listing_page(evil + "/", {{evil, false, 1, 0}, {"javascript:alert(1)", false, 1, 0}});
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("alert('x')") == std::string::npos);
  CHECK(page.find("href=\"javascript:") == std::string::npos);
  CHECK(page.find("&lt;script&gt;") != std::string::npos);
}

TEST_CASE("a line of the access log is one line") {
  const std::string line = access_line("::1", {"GET /\"a\nb HTTP/1.1", 200, 12}, 0);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find("\"GET /\\\"a") != std::string::npos);
  CHECK(line.find("\" 200 12\n") != std::string::npos);
  CHECK(peer_name(nullptr) == "-");
}
