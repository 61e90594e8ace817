#include "cmd/tend/parse.h"

#include <sys/stat.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <deque>

#include "cmd/tend/command.h"
#include "core/base/text.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

constexpr int64_t kMostLines = 1'000'000;

struct Switch {
  std::string_view names;
  bool Arguments::*slot;
  std::string_view help;
};
constexpr Switch kSwitches[] = {
    {"--json", &Arguments::json, "Machine-readable output."},
    {"--raw", &Arguments::raw, "Log text only, without prefix."},
    {"--err", &Arguments::err, "Only what went to standard error."},
    {"--out", &Arguments::out, "Only what went to standard output."},
    {"--nostream", &Arguments::nostream, "Print the last lines and end."},
    {"-m,--mini-list", &Arguments::mini, "A list without a table."},
    {"-a,--update-env", &Arguments::update_env, "Give the caller's environment to the app."},
    {"-f,--force", &Arguments::force, "Start what already runs; save an empty list."},
    {"--no-wait", &Arguments::no_wait, "Return once the daemon has accepted."},
    {"--show-secrets", &Arguments::show_secrets, "Do not mask values of secret variables."},
    {"-s,--silent", &Arguments::silent, "Print nothing but machine output."},
    {"--no-color", &Arguments::no_color, "No colours."},
    {"-h,--help", &Arguments::help, "Help."},
    {"-v,-V,--version", &Arguments::version, "The version."},
};

struct Word {
  std::string_view names;
  std::string_view value;
  std::string_view help;
  bool (*take)(Arguments& a, const std::string& text);  // false: wrong
  std::string_view accepts;
};
constexpr Word kWords[] = {
    {"--env", "<name>", "Lay env_<name> of the file over env.",
     [](Arguments& a, const std::string& s) {
       a.env_name = s;
       return true;
     },
     ""},
    {"--only", "<names>", "Only these apps of the file.",
     [](Arguments& a, const std::string& s) {
       for (const auto& part : split(s, ','))
         if (!trim(part).empty()) a.only.emplace_back(trim(part));
       return true;
     },
     ""},
    {"--sort", "<field[:desc]>", "Order of the list.",
     [](Arguments& a, const std::string& s) {
       a.sort = s;
       return true;
     },
     ""},
    {"--parallel", "<n>", "Processes that reload replaces at once (2).",
     [](Arguments& a, const std::string& s) {
       if (!is_digits(s) || s.size() > 4 || std::stoll(s) < 1) return false;
       a.parallel = std::stoll(s);
       return true;
     },
     "1..9999"},
    {"--canary", "<percent>", "reload: try it in one process more, for this part of the connections.",
     [](Arguments& a, const std::string& s) {
       const std::string digits = s.substr(0, s.find('%'));
       if (!is_digits(digits) || digits.size() > 2 || s.size() > digits.size() + 1) return false;
       a.canary = std::stoll(digits);
       return a.canary > 0;
     },
     "1%..99%"},
    {"--lines", "<n>", "Last lines to print (15).",
     [](Arguments& a, const std::string& s) {
       if (!is_digits(s) || s.size() > 7 || std::stoll(s) > kMostLines) return false;
       a.lines = std::stoll(s);
       return true;
     },
     "0..1000000"},
    {"--last", "<n>", "why: how many ends of processes to tell of (5).",
     [](Arguments& a, const std::string& s) {
       if (!is_digits(s) || s.size() > 3 || std::stoll(s) < 1) return false;
       a.last = std::stoll(s);
       return true;
     },
     "1..999"},
    {"--timestamp", "[format]", "The current time in front of each streamed line.",
     [](Arguments& a, const std::string& s) {
       a.timestamp = s;
       return true;
     },
     ""},
    {"--highlight", "<word>", "Mark this word.",
     [](Arguments& a, const std::string& s) {
       a.highlight = s;
       return true;
     },
     ""},
    {"--timeout", "<time>", "How long to wait for the daemon (30s and the apps' own limits).",
     [](Arguments& a, const std::string& s) {
       const auto t = parse_millis(s);
       if (t) a.timeout = *t;
       return t.has_value();
     },
     "a time such as 30s"},
};

// Rows of the table whose flag would hide one of tend's own.
bool own_flag(const OptionRow& row) { return row.flag.empty() || row.key == "force"; }

bool regular_file(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

// Flags with an optional value are given one here, so that they cannot swallow the script (compat.md 12).
std::vector<std::string> with_values(const std::vector<std::string>& argv) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    const std::string* next = i + 1 < argv.size() ? &argv[i + 1] : nullptr;
    const bool bare = next == nullptr || (!next->empty() && (*next)[0] == '-');
    if (word == "--watch") {
      const bool takes = !bare && !regular_file(*next);
      out.push_back("--watch=" + (takes ? *next : std::string("true")));
      i += takes ? 1 : 0;
    } else if (word == "--timestamp") {
      const bool takes = !bare && next->find('Y') != std::string::npos;
      out.push_back("--timestamp=" + (takes ? *next : std::string("YYYY-MM-DD-HH:mm:ss")));
      i += takes ? 1 : 0;
    } else if (word == "--stop-exit-codes") {
      std::string codes;
      while (i + 1 < argv.size() && is_digits(argv[i + 1])) codes += (codes.empty() ? "" : ",") + argv[++i];
      out.push_back(codes.empty() ? word : "--stop-exit-codes=" + codes);
    } else if (word == "-l" || word == "--log") {
      out.push_back(bare ? "--log=true" : word);
    } else if ((word == "--filter-env" || word == "--max-restarts") && bare) {
      continue;
    } else {
      out.push_back(word);
    }
  }
  return out;
}

std::string long_name(std::string_view flag) {
  const auto names = split(flag, ',');
  return names.back();
}

// What a flag's words mean for its row: lists take several, everything else the last one.
Value flag_value(const OptionRow& row, const std::vector<std::string>& results) {
  if (std::holds_alternative<bool AppSpec::*>(row.slot))
    return row.key.starts_with("no_") || row.flag.find("--no-") == std::string_view::npos;
  if (std::holds_alternative<IntList AppSpec::*>(row.slot)) {
    List codes;
    for (const auto& r : results)
      for (const auto& part : split(r, ',')) codes.emplace_back(part);
    return codes;
  }
  const bool list = std::holds_alternative<StringList AppSpec::*>(row.slot) ||
                    std::holds_alternative<Value AppSpec::*>(row.slot);
  // As a list, what is typed for filter_env is a part of names; as one text of a file it is a whole name.
  if (list && (results.size() > 1 || row.key == "filter_env")) return List(results.begin(), results.end());
  const std::string& last = results.back();
  if (std::holds_alternative<Value AppSpec::*>(row.slot) && (last == "true" || last == "false"))
    return last == "true";
  // The one bare number that is not milliseconds (settled 27).
  if (row.key == "watch_delay" && is_digits(last)) return last + "s";
  if (row.key == "log_file" && last == "true") return true;
  return last;
}

tl::unexpected<ParseError> wrong(const std::string& message, const std::string& pm2_text) {
  return tl::unexpected<ParseError>(ParseError{message, pm2_text});
}

std::string nearest_flag(const std::string& unknown) {
  std::vector<std::string> names;
  for (const FlagRow& row : flag_rows())
    for (const auto& name : split(row.names, ',')) names.push_back(name);
  const std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(nearest(std::string_view(unknown).substr(0, unknown.find('=')), views));
}

tl::expected<void, ParseError> parse_flags(Arguments& a, std::vector<std::string> argv,
                                           std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const Switch& s : kSwitches) app.add_flag(std::string(s.names), a.*s.slot);
  for (const CommandFlag& f : command_flags()) {
    auto& values = a.options[long_name(f.names).substr(2)];
    if (f.value.empty())
      app.add_flag_callback(std::string(f.names), [&values] { values = {""}; });
    else
      app.add_option(std::string(f.names), values)->expected(f.value[0] == '[' ? 0 : 1, 1)->take_all();
  }

  struct Taken {
    const OptionRow* row = nullptr;
    const Word* word = nullptr;
    std::vector<std::string> results;
  };
  std::deque<Taken> taken;
  const auto collect = [&taken](Taken what) {
    return [&taken, what](const CLI::results_t& results) mutable {
      what.results = results;
      taken.push_back(what);
      return true;
    };
  };
  for (const Word& w : kWords)
    app.add_option(std::string(w.names), collect({nullptr, &w, {}}))->expected(1)->take_all();
  for (const OptionRow& row : options()) {
    if (own_flag(row)) continue;
    if (std::holds_alternative<bool AppSpec::*>(row.slot)) {
      app.add_flag_callback(std::string(row.flag), [&taken, &row] {
        taken.push_back({&row, nullptr, {"true"}});
      });
    } else {
      app.add_option(std::string(row.flag), collect({&row, nullptr, {}}))->expected(1)->take_all();
    }
  }
  std::reverse(argv.begin(), argv.end());  // CLI11 takes them from the end
  app.parse(argv);
  words = app.remaining();
  for (auto at = a.options.begin(); at != a.options.end();)
    at = at->second.empty() ? a.options.erase(at) : std::next(at);

  for (const Taken& t : taken) {
    if (t.results.empty()) continue;
    if (t.word != nullptr) {
      for (const auto& text : t.results) {
        if (t.word->take(a, text)) continue;
        return wrong(std::string(t.word->names) + ": found \"" + printable(text) +
                         "\"; accepted: " + std::string(t.word->accepts),
                     "error: option `" + std::string(t.word->names) + "' argument invalid");
      }
      continue;
    }
    const auto assigned = assign(a.flags, *t.row, flag_value(*t.row, t.results));
    if (!assigned) {
      return wrong(long_name(t.row->flag) + ": found " + assigned.error().found +
                       "; accepted: " + assigned.error().accepted,
                   "[PM2][ERROR] " + std::string(t.row->key) + ": found " + assigned.error().found +
                       "; accepted: " + assigned.error().accepted);
    }
  }
  return {};
}

}  // namespace

std::vector<FlagRow> flag_rows() {
  std::vector<FlagRow> rows;
  for (const OptionRow& row : options()) {
    if (own_flag(row)) continue;
    std::string value;
    if (!std::holds_alternative<bool AppSpec::*>(row.slot))
      value = row.accepts.empty() ? "<value>" : "<" + std::string(row.accepts) + ">";
    rows.push_back({std::string(row.flag), value, std::string(row.help), true});
  }
  for (const Word& w : kWords)
    rows.push_back({std::string(w.names), std::string(w.value), std::string(w.help), false});
  for (const CommandFlag& f : command_flags())
    if (!f.help.empty())
      rows.push_back({std::string(f.names), std::string(f.value), std::string(f.help), false});
  for (const Switch& s : kSwitches) rows.push_back({std::string(s.names), "", std::string(s.help), false});
  return rows;
}

std::string Arguments::value(std::string_view name, std::string_view fallback) const {
  const auto at = options.find(name);
  return at == options.end() ? std::string(fallback) : at->second.back();
}

tl::expected<Arguments, ParseError> parse(const std::vector<std::string>& argv, bool pm2) {
  Arguments a;
  const auto bare = std::find(argv.begin(), argv.end(), "--");
  std::vector<std::string> front(argv.begin(), bare);
  if (bare != argv.end()) {
    a.after.assign(bare + 1, argv.end());
    List args(a.after.begin(), a.after.end());
    if (const OptionRow* row = find_option("args"); row != nullptr && !args.empty())
      (void)assign(a.flags, *row, args);
  }
  std::vector<std::string> words;
  const bool flagged =
      std::any_of(front.begin(), front.end(), [](const auto& w) { return w.size() > 1 && w[0] == '-'; });
  if (!flagged) {
    words = front;  // most commands: CLI11 and the table need not be built
  } else {
    try {
      if (auto ok = parse_flags(a, with_values(front), words); !ok)
        return tl::unexpected<ParseError>(ok.error());
    } catch (const CLI::ArgumentMismatch& e) {
      return wrong(e.what(), std::string("error: ") + e.what());
    } catch (const CLI::Error& e) {
      return wrong(e.what(), std::string("error: ") + e.what());
    }
  }
  for (auto& word : words) {
    if (word.size() > 1 && word[0] == '-' && !is_digits(std::string_view(word).substr(1))) {
      if (pm2 && a.command == "runtime") continue;  // PM2's takes any (compat.md 11.3)
      const std::string near = nearest_flag(word);
      return wrong("unknown option " + printable(word) + (near.empty() ? "" : "; did you mean " + near + "?"),
                   "\nerror: unknown option `" + printable(word) + "'\n");
    }
    if (a.command.empty())
      a.command = std::move(word);
    else
      a.words.push_back(std::move(word));
  }
  if (pm2 && a.command == "log") a.command = "logs";
  return a;
}

}  // namespace tend::cli
