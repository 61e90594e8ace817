#include "cmd/serve/media.h"

#include <doctest/doctest.h>

using namespace tend::serve;

TEST_CASE("text has its encoding in its type, whatever the case of the extension") {
  CHECK(content_type("a/INDEX.HTML", "?") == "text/html; charset=utf-8");
  CHECK(content_type("x.min.js", "?") == "text/javascript; charset=utf-8");
  CHECK(content_type("x.wasm", "?") == "application/wasm");
  CHECK(content_type("x.woff2", "?") == "font/woff2");
  CHECK(content_type("x.unknown", "?") == "?");
  CHECK(content_type("Makefile", "?") == "?");
  CHECK(content_type("folder.js/file", "?") == "?");
}

TEST_CASE("names that bundlers give are known by their hash") {
  for (const char* const name :
       {"app.3f9a2c1b.js", "main-BX3k9f2a.css", "static/js/main.8f3a2b1c.chunk.js", "chunk-5YH3QJ7V.js",
        "logo.d41d8cd98f00b204e980.svg", "main.3f9a2c1b.js.map", "font-C2x9Zt4q.woff2"})
    CHECK_MESSAGE(has_hash(name), name);
}

TEST_CASE("words, dates, versions and pages are no hashes") {
  for (const char* const name :
       {"app.js", "main-component.js", "bootstrap.min.js", "jquery-3.7.1.min.js", "photo-IMG12345.jpg",
        "photo-20240131.jpg", "report-Draft123.png", "index.3f9a2c1b.html", "doc-3f9a2c1b.pdf", "3f9a2c1b.js",
        "app-3f9a2c1.js", "deadbeef", "x-facedeed.css", "data.12345678.json", "my-feedback.js",
        ".3f9a2c1b.js"})
    CHECK_MESSAGE(!has_hash(name), name);
}

TEST_CASE("pictures and archives are not looked for in a compressed form, text is") {
  CHECK(compressible("a.css"));
  CHECK(compressible("a.svg"));
  CHECK_FALSE(compressible("a.png"));
  CHECK_FALSE(compressible("a.zip"));
  CHECK_FALSE(compressible("a"));
}
