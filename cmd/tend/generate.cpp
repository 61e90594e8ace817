#include "cmd/tend/generate.h"

#include "cmd/tend/command.h"
#include "core/base/text.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

// For troff: hyphens that may be copied, and no line that begins a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string option_defaults(const OptionRow& row) {
  const std::string text = show(AppSpec{}, row);
  return text.empty() ? "" : "\nDefault: " + roff(text) + ".";
}

}  // namespace

std::string generate_man() {
  std::string out = ".TH TEND 1 \"\" \"tend " TEND_VERSION
                    "\"\n.SH NAME\ntend \\- keep processes running\n.SH SYNOPSIS\n"
                    ".B tend\n.I command\n[operands] [options] [\\-\\- arguments of the app]\n.SH COMMANDS\n";
  for (const auto group : groups()) {
    for (const Command& c : group) {
      if (c.group.empty()) continue;
      out += ".TP\n.B " + roff(c.name) + (c.operands.empty() ? "" : " \\fR") + roff(c.operands) + "\n" +
             roff(c.help) + "\n";
      if (!c.aliases.empty()) out += "Other names: " + roff(c.aliases) + ".\n";
    }
  }
  out += ".SH OPTIONS\n";
  for (const FlagRow& f : flag_rows())
    if (!f.app) out += ".TP\n.B " + roff(f.names) + " \\fR" + roff(f.value) + "\n" + roff(f.help) + "\n";
  out += ".SH OPTIONS OF AN APP\nAs flags, and under their names in a file of apps.\n";
  for (const OptionRow& row : options()) {
    out += ".TP\n.B " + roff(row.key) + (row.flag.empty() ? "" : " \\fR(\\fB" + roff(row.flag) + "\\fR)") +
           "\n" + roff(row.help);
    if (!row.accepts.empty()) out += "\nAccepts: " + roff(row.accepts) + ".";
    out += option_defaults(row);
    if (!row.aliases.empty()) out += "\nOther names: " + roff(row.aliases) + ".";
    out += "\n";
  }
  out +=
      ".SH EXIT STATUS\n0 done; 1 failed or unknown target; 2 usage; 3 no answer in time, or no daemon.\n"
      ".SH FILES\n$TEND_HOME, else ~/.tend: socket, journal, logs.\n";
  return out;
}

}  // namespace tend::cli
