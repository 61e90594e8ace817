#include <algorithm>
#include <set>

#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/parts.h"
#include "core/config/static_server.h"
#include "core/model/options.h"

namespace tend::config {
namespace {

enum class Format { kNone, kJson, kYaml, kJavaScript, kProcfile };

Format format_of(std::string_view word, bool pm2) {
  constexpr std::pair<std::string_view, Format> kEndings[] = {{".json", Format::kJson},
                                                              {".yml", Format::kYaml},
                                                              {".yaml", Format::kYaml},
                                                              {".config.js", Format::kJavaScript},
                                                              {".config.cjs", Format::kJavaScript},
                                                              {".config.mjs", Format::kJavaScript}};
  if (is_procfile(word)) return Format::kProcfile;
  for (const auto& [ending, format] : kEndings) {
    if (pm2 ? word.find(ending) != std::string_view::npos : word.ends_with(ending)) return format;
  }
  return Format::kNone;
}

std::string shown(const std::string& path) { return path == "-" ? "stdin" : printable(path); }

// Whether --only names it: pieces are separated by commas; a piece is a name, or several separated by blanks.
bool selected(std::string_view name, const std::vector<std::string>& only) {
  if (only.empty()) return true;
  for (const std::string& words : only) {
    for (const std::string& piece : split(words, ',')) {
      if (trim(piece) == name) return true;
      const auto parts = split(piece, ' ');
      if (std::find(parts.begin(), parts.end(), name) != parts.end()) return true;
    }
  }
  return false;
}

std::string written_name(const AppSpec& spec) {
  return spec.name.empty() ? default_name(spec.script) : spec.name;
}

void copy_row(AppSpec& to, const AppSpec& from, std::string_view key) {
  const OptionRow& row = *find_option(key);
  std::visit([&](auto member) { to.*member = from.*member; }, row.slot);
  to.given.set(index_of(row));
}

void merge_flags(AppSpec& spec, const AppSpec& flags) {
  for (const std::string_view key : {"uid", "gid", "cwd"}) {
    if (is_given(flags, key)) copy_row(spec, flags, key);
  }
  for (const std::string_view key : {"namespace", "watch", "ignore_watch"}) {
    if (is_given(flags, key) && !is_given(spec, key)) copy_row(spec, flags, key);
  }
}

void warn_of_flags(const AppSpec& flags, std::vector<Problem>& problems) {
  constexpr std::string_view kMerged[] = {"uid", "gid", "cwd", "namespace", "watch", "ignore_watch", "force"};
  for (const OptionRow& row : options()) {
    if (!flags.given[index_of(row)]) continue;
    if (std::find(std::begin(kMerged), std::end(kMerged), row.key) != std::end(kMerged)) continue;
    problems.push_back(
        {false, std::string(row.flag.empty() ? row.key : row.flag) + ": ignored with a file of apps", ""});
  }
}

// PM2 tells of folders that it makes for logs and pid files.
void warn_of_folders(const AppSpec& spec, std::set<std::string>& told, std::vector<Problem>& problems) {
  for (const std::string_view key : {"out_file", "error_file", "log_file", "pid_file"}) {
    const std::string file = get(spec, *find_option(key)).text();
    const std::string folder = file.substr(0, file.rfind('/'));
    if (!is_given(spec, key) || folder.empty() || is_directory(folder) || !told.insert(folder).second)
      continue;
    problems.push_back(
        {false, "folder is made: " + printable(folder), "Folder does not exist: " + printable(folder)});
  }
}

Loaded refused(const std::string& path, const Error& error) {
  const bool absent = error.code == ENOENT && error.message.find("No such file") != std::string::npos;
  const std::string file = shown(path);
  return {
      {},
      {{true, error.message, "File " + file + (absent ? " not found" : " malformated\n" + error.message)}},
      {},
      true};
}

// True when no problem from `first` on is fatal.
bool sound(const std::vector<Problem>& problems, std::size_t first) {
  return std::none_of(problems.begin() + static_cast<std::ptrdiff_t>(first), problems.end(),
                      [](const Problem& p) { return p.fatal; });
}

}  // namespace

bool is_config_file(std::string_view word, bool pm2) {
  return word == "-" || format_of(word, pm2) != Format::kNone;
}

Result<Document> parse_document(const std::string& path, const Context& context) {
  const Format format = format_of(path, context.pm2);
  const bool script = path.ends_with(".js") || path.ends_with(".cjs") || path.ends_with(".mjs");
  if (path != "-" && (format == Format::kJavaScript || (format == Format::kNone && script))) {
    return load_javascript(path, context);
  }
  const std::string file = path == "-" ? path : absolute_path(path, context.cwd, context.user_home);
  auto text = read_text(file);
  if (!text) return tl::unexpected(text.error());
  if (format == Format::kProcfile) return parse_procfile(*text, file, shown(path), context);
  if (format == Format::kYaml) return parse_yaml(*text, shown(path));
  auto document = parse_lax_json(*text, shown(path));
  if (document || path != "-" || context.pm2) return document;
  // What comes in by stdin has no name that tells its form.
  const std::string_view begin = trim(*text);
  if (begin.starts_with('{') || begin.starts_with('[')) return document;
  return parse_yaml(*text, shown(path));
}

Result<Value> parse_file(const std::string& path, const Context& context) {
  auto document = parse_document(path, context);
  if (!document) return tl::unexpected(document.error());
  return std::move(document->root);
}

Loaded load_file(const std::string& path, const Context& context, const AppSpec& flags) {
  auto document = parse_document(path, context);
  if (!document) return refused(path, document.error());
  if (auto added = add_static_apps(*document); !added)
    return refused(path, Error{shown(path) + ": " + added.error().message});
  const auto entries = app_entries(*document, context.pm2);
  if (!entries) return refused(path, Error{shown(path) + ": " + entries.error().message});

  Loaded loaded;
  std::vector<Problem>& problems = loaded.problems;
  if (!context.pm2) warn_of_flags(flags, problems);
  std::vector<std::pair<AppSpec, const Entry*>> read;
  for (const Entry& entry : *entries) {
    if (context.pm2) {
      const std::string place = shown(path) + ": " + app_label(entry) + ": ";
      for (std::string& text : pm2_violations(entry.app->map()))
        problems.push_back({true, place + text, text});
      if (!sound(problems, 0)) continue;
    }
    std::vector<Problem> found;
    read.emplace_back(read_app(entry, *document, shown(path), context, found), &entry);
    // Of an app that --only leaves out nobody wants to be warned.
    const bool wanted = selected(written_name(read.back().first), context.only);
    for (Problem& problem : found) {
      if (wanted || problem.fatal) problems.push_back(std::move(problem));
    }
  }
  loaded.failed = !sound(problems, 0);
  if (loaded.failed && context.pm2) return loaded;

  std::set<std::string> told;
  for (auto& [spec, entry] : read) {
    if (!entry->app->is<Map>() || !selected(written_name(spec), context.only)) continue;
    merge_flags(spec, flags);
    name_static_server(spec, context);
    const bool suffixed = spec.append_env_to_name && !context.env_name.empty();
    loaded.named.push_back(written_name(spec) + (suffixed ? '-' + context.env_name : ""));
    if (auto done = resolve(spec, context); !done) {
      Problem problem = std::move(done.error());
      problem.message = shown(path) + ": " + app_label(*entry) + ": " + problem.message;
      problems.push_back(std::move(problem));
      loaded.failed = true;
      continue;
    }
    if (context.pm2) warn_of_folders(spec, told, problems);
    spec.source = source_of(path, context);
    loaded.apps.push_back(std::move(spec));
  }
  if (loaded.failed && !context.pm2) loaded.apps.clear();
  return loaded;
}

std::string source_of(const std::string& path, const Context& context) {
  return path == "-" ? "" : absolute_path(path, context.cwd, context.user_home);
}

Result<std::vector<std::string>> names_in(const std::string& path, const Context& context) {
  auto document = parse_document(path, context);
  if (!document) return tl::unexpected(document.error());
  if (auto added = add_static_apps(*document); !added)
    return fail(shown(path) + ": " + added.error().message);
  const auto entries = app_entries(*document, context.pm2);
  if (!entries) return fail(shown(path) + ": " + entries.error().message);
  std::vector<std::string> names;
  for (const Entry& entry : *entries) {
    std::vector<Problem> ignored;
    const AppSpec spec = read_app(entry, *document, path, context, ignored);
    const std::string name = written_name(spec);
    if (name.empty() || !selected(name, context.only)) continue;
    const bool suffixed = spec.append_env_to_name && !context.env_name.empty();
    names.push_back(suffixed ? name + '-' + context.env_name : name);
  }
  return names;
}

Loaded from_script(const std::string& word, const AppSpec& flags, const Context& context) {
  Loaded loaded;
  AppSpec spec = flags;
  spec.script = word;
  spec.given.set(index_of(*find_option("script")));
  if (auto done = resolve(spec, context); !done) {
    Problem problem = std::move(done.error());
    constexpr std::string_view kOfFiles = "Error: ";  // PM2 says less of a script that was typed
    if (problem.pm2_text.starts_with("Error: Script not found")) problem.pm2_text.erase(0, kOfFiles.size());
    loaded.problems.push_back(std::move(problem));
    loaded.failed = true;
    return loaded;
  }
  if (context.pm2) {
    std::set<std::string> told;
    warn_of_folders(spec, told, loaded.problems);
  }
  loaded.apps.push_back(std::move(spec));
  return loaded;
}

}  // namespace tend::config
