#include "core/autopsy/frames.h"

#include <doctest/doctest.h>

#include <string>

using namespace tend;
using namespace tend::autopsy;

namespace {

std::string frame(const std::string& function, const std::string& url, int line) {
  return R"({"callFrameId":"1.1.0","functionName":")" + function +
         R"(","location":{"scriptId":"9","lineNumber":)" + std::to_string(line) +
         R"(,"columnNumber":2},"url":")" + url +
         R"(","scopeChain":[{"object":{"description":"{\"}[]"}}],"this":{}})";
}

std::string paused(const std::string& frames) {
  return R"({"method":"Debugger.paused","params":{"callFrames":[)" + frames + R"(],"reason":"other"}})";
}

}  // namespace

TEST_CASE("a pause gives function, path, line and column from 1") {
  const std::string text =
      paused(frame("spin", "file:///srv/a%20b.js", 11) + "," + frame("", "node:internal/timers", 0));
  REQUIRE(is_paused(text));
  const List frames = frames_of(text, {});
  REQUIRE(frames.size() == 2);
  CHECK(frames[0] == Value(Map{{"function", "spin"}, {"file", "/srv/a b.js"}, {"line", 12}, {"column", 3}}));
  CHECK(frames[1].at("function").text().empty());
  CHECK(frames[1].at("file").text() == "node:internal/timers");
  CHECK(frames[1].at("line").integer() == 1);
}

TEST_CASE("a frame without a url takes that of its script") {
  Scripts scripts;
  scripts.add(
      R"({"method":"Debugger.scriptParsed","params":{"scriptId":"9","url":"file:///srv/\u0061.js","startLine":0}})");
  scripts.add(R"({"method":"Debugger.scriptParsed","params":{"scriptId":"10","url":"","startLine":0}})");
  scripts.add(R"({"method":"Debugger.scriptParsed","params":{"scriptId":"11","url":"cut of)");
  scripts.add(R"({"id":1,"result":{"debuggerId":"x"}})");
  CHECK(scripts.url("10").empty());
  CHECK(scripts.url("11").empty());
  CHECK(frames_of(paused(frame("f", "", 0)), scripts)[0].at("file").text() == "/srv/a.js");
}

TEST_CASE("twenty frames are enough") {
  std::string many;
  for (int i = 0; i < 500; ++i) many += (i == 0 ? "" : ",") + frame("f" + std::to_string(i), "x", i);
  const List frames = frames_of(paused(many), {});
  REQUIRE(frames.size() == kMostFrames);
  CHECK(frames.back().at("function").text() == "f19");
}

TEST_CASE("of a message that was cut the whole frames are given, wherever the cut is") {
  const std::string text = paused(frame("a", "x", 1) + "," + frame("b\\\"", "y", 2));
  const std::size_t first_end = text.find(R"(,{"callFrameId")");
  for (std::size_t n = 0; n < text.size(); ++n) {
    const List frames = frames_of(text.substr(0, n), {});
    CAPTURE(n);
    if (n < first_end) CHECK(frames.empty());
    for (const Value& one : frames) CHECK_FALSE(one.at("function").text().empty());
  }
  CHECK(frames_of(text, {}).size() == 2);
}

TEST_CASE("other messages are no pause, and nonsense gives no frames") {
  CHECK_FALSE(is_paused(R"({"method":"Debugger.resumed","params":{}})"));
  CHECK_FALSE(is_paused(""));
  CHECK(frames_of(R"({"method":"Debugger.paused","params":{"callFrames":[]}})", {}).empty());
  CHECK(frames_of(R"({"method":"Debugger.paused","params":{"callFrames":[{]]}})", {}).empty());
  CHECK(frames_of(R"({"method":"Debugger.paused","params":{"callFrames":[7]}})", {}).empty());
  CHECK(frames_of("", {}).empty());
}

TEST_CASE("only file urls become paths") {
  CHECK(path_of("file:///a/%C3%A4%2") == "/a/ä%2");
  CHECK(path_of("/srv/app.js") == "/srv/app.js");
  CHECK(path_of("evalmachine.<anonymous>") == "evalmachine.<anonymous>");
  CHECK(path_of("") == "");
}

TEST_CASE("the WebSocket's path is taken if it may stand in a request line") {
  CHECK(websocket_path(R"([{"webSocketDebuggerUrl":"ws://127.0.0.1:1/0f-1"}])") == "/0f-1");
  for (const char* bad :
       {R"([])", R"({})", "", "x", R"([{"webSocketDebuggerUrl":"http://a/b"}])",
        R"([{"webSocketDebuggerUrl":"ws://a"}])", R"([{"webSocketDebuggerUrl":"ws://a/b\r\nX: y"}])",
        R"([{"webSocketDebuggerUrl":7}])"}) {
    CAPTURE(bad);
    CHECK(websocket_path(bad).empty());
  }
}
