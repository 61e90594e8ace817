#include <doctest/doctest.h>

#include "cmd/pm2/jlist.h"
#include "cmd/render/metrics.h"
#include "cmd/tend/attach.h"

using namespace tend;

TEST_CASE("only lines that have ended are sent, the last one at the end of the file") {
  std::string pending = "one\ntwo\nthr";
  CHECK(cli::take_lines(pending, "\n", false) == "one\ntwo\n");
  CHECK(pending == "thr");
  CHECK(cli::take_lines(pending, "\n", false).empty());
  pending += "ee";
  CHECK(cli::take_lines(pending, "\r\n", true) == "three\r\n");
  CHECK(pending.empty());
  CHECK(cli::take_lines(pending, "\n", true).empty());
  pending = "\n\n";
  CHECK(cli::take_lines(pending, ";", true) == ";;");
}

TEST_CASE("what heartbeats tell has the agent's names, and an app's own metric of that name wins") {
  const Value health = Map{{"word", "ok"}, {"lag_us", 1500}, {"heap", 3 << 20}, {"handles", 4}};
  const Value row =
      Map{{"name", "a"}, {"health", health}, {"axm_monitor", Map{{"Active handles", Map{{"value", 9}}}}}};
  const Map metrics = render::metrics_of(row);
  CHECK(metrics.find("Used Heap Size")->at("value").text() == "3.00");
  CHECK(metrics.find("Used Heap Size")->at("unit").text() == "MiB");
  CHECK(metrics.find("Event Loop Latency")->at("value").text() == "1.50");
  CHECK(metrics.find("Active handles")->at("value").integer() == 9);
  CHECK(render::metrics_of(Map{{"name", "a"}}).empty());
  CHECK(pm2::record(row, "").at("pm2_env").at("axm_monitor") == Value(metrics));
}

TEST_CASE(
    "an app that announced nothing has no blocks, and one that announced odd things cannot break them") {
  render::Page page;
  page.pm2 = true;
  CHECK(render::announced(Map{{"name", "a"}}, page).empty());
  const Value row = Map{{"name", "a"},
                        {"axm_actions", List{Map{{"action_name", "go\x1b[2J"}}, "text"}},
                        {"axm_monitor", Map{{"n", Map{{"value", 60.02}, {"unit", "%"}}},
                                            {"bare", 5},
                                            {"none", Map{}},
                                            {"s", Map{{"value", "x\ny"}}}}}};
  const std::string text = render::announced(row, page);
  CHECK(text.find("│ n    │ 60.02 % │") != std::string::npos);
  CHECK(text.find("│ bare │ 5       │") != std::string::npos);
  CHECK(text.find("N/A") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("x\ny") == std::string::npos);
  CHECK(text.find(" Trigger via: pm2 trigger a <action_name>") != std::string::npos);
}
