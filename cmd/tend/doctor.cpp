#include "cmd/tend/doctor.h"

#include "cmd/render/colour.h"
#include "cmd/render/width.h"
#include "core/base/text.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr std::string_view kWords[] = {"ok", "warn", "fail"};
constexpr render::Ink kInks[] = {render::Ink::green, render::Ink::yellow, render::Ink::red};

void show(Session& s, const Findings& findings) {
  for (const Finding& f : findings) {
    const auto n = static_cast<std::size_t>(f.verdict);
    s.print(render::paint(kInks[n], render::pad(std::string(kWords[n]), 5), s.colour()) +
            render::pad(std::string(f.check), 15) + printable(f.text) + "\n");
    if (!f.fix.empty()) s.print(std::string(20, ' ') + "→ " + printable(f.fix) + "\n");
  }
}

}  // namespace

int doctor(Session& s) {
  Findings findings;
  check_daemon(s, findings);
  check_home(s, findings);
  check_apps(s, findings);
  check_boot(s, findings);
  check_pm2(s, findings);
  check_limits(s, findings);
  check_clock(s, findings);
  check_node(s, findings);
  bool good = true;
  List checks;
  for (const Finding& f : findings) {
    good = good && f.verdict != Verdict::fail;
    checks.push_back(Map{{"check", f.check},
                         {"verdict", kWords[static_cast<std::size_t>(f.verdict)]},
                         {"text", f.text},
                         {"fix", f.fix}});
  }
  if (s.args.json)
    s.print(ipc::to_json(Map{{"ok", good}, {"checks", std::move(checks)}}) + "\n");
  else
    show(s, findings);
  return good ? kDone : kFailed;
}

}  // namespace tend::cli
