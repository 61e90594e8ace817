// tend-ecosystem(5): prose by hand, the options from the table.
#include "cmd/tend/generate.h"
#include "core/base/text.h"
#include "core/model/options.h"

namespace tend::cli {
namespace {

constexpr std::string_view kBegin = R"(.\" Made by: tend generate man ecosystem
.Dd January 1, 2026
.Dt TEND-ECOSYSTEM 5
.Os
.Sh NAME
.Nm tend-ecosystem
.Nd files of apps for tend
.Sh DESCRIPTION
A file of apps says what
.Xr tend 1
keeps running.
.Ic tend start ,
.Ic restart , reload , stop , delete , apply , diff
and
.Ic check
take such a file in place of the names of apps.
.Ss Forms
The end of the file's name tells its form.
.Bl -tag -width Ds
.It Pa *.json
JSON; comments, bare keys, single quotes and trailing commas are read too.
.It Pa *.yml , *.yaml
YAML.
.It Pa *.config.js , *.config.cjs , *.config.mjs
Loaded by node, which has 10 seconds.
The exports may be a function or a promise; under
.Sq \(dqtype\(dq: \(dqmodule\(dq
.Li module.exports
works as well.
.It Pa package.json
Its field
.Li apps
or
.Li pm2 .
.It Pa Procfile , Procfile.* , *.procfile
A line
.Ql name: command
for each app; the command is a line for the shell and runs in the file's folder.
A
.Pa .env
there is the
.Li env_file
of each app.
.Ev PORT
is 5000 for the first app, or what
.Pa .env
or the caller say, 100 more for each further app
and 1 more for each further instance.
.It Fl
Standard input: JSON, a JavaScript object, or YAML.
.El
.Pp
The names
.Nm pm2
and
.Nm tend
read the same files.
Under
.Nm pm2
exported functions and promises,
.Li module.exports
of modules, JSON in a
.Pa .config.js
file and YAML on standard input are refused, as PM2 does.
.Ss Shape
The root is an object with
.Li apps ,
a list of apps, or a single app.
.Li apps
is a list, one app, or an object of apps by name.
Beside it may stand
.Li deploy
and
.Li static .
Under
.Nm tend
an option beside
.Li apps
is the default of all apps.
.Ss Values
Names may be written in camelCase.
Times are numbers of milliseconds, or texts such as
.Li 10s , 5m
and
.Li 200ms ;
sizes are bytes, or texts such as
.Li 500M
and
.Li 1G .
Numbers and booleans may be texts.
Lists may be one text, which is split at blanks outside quotes.
In paths
.Li ~
is the caller's home; under
.Nm tend
.Li $NAME
and
.Li ${NAME}
are variables of the caller.
Relative paths begin at the caller's directory, those of scripts, logs and
.Li env_file
at
.Li cwd .
.Pp
Under
.Nm tend
an unknown option is a warning and any wrong value starts nothing.
.Ss Environment
A process gets, later ones winning:
.Bl -enum -compact
.It
the environment of the caller at the first start, without what
.Li filter_env
drops
.Po
all but
.Ev PATH , HOME , USER , LANG
and
.Ev SHELL
with
.Li filter_env: true
or
.Li inherit_env: false
.Pc ;
.It
the variables of
.Li env_file ,
which is read at each start;
.It
.Li env ,
.Li deploy.NAME.env
and
.Li env_NAME ,
where
.Ar NAME
is that of
.Fl -env ;
.It
.Ev PORT
of the option
.Li port ;
.It
what tend adds:
.Ev pm_id , name , NODE_APP_INSTANCE
and others, and
.Li increment_var .
.El
.Pp
It is computed anew each time: what was removed from the file is gone after
.Ic restart
or
.Ic apply
of the file.
.Fl -update-env
takes the caller's present environment in place of the recorded one.
.Ic tend env
shows each variable and where it comes from.
Values of variables with names such as
.Li *TOKEN* , *SECRET* , *PASS* , *KEY
and passwords in URLs are masked in all outputs of
.Nm tend
unless
.Fl -show-secrets
is given; under
.Nm pm2
if
.Ev TEND_MASK
is 1 or the setting
.Li pm2:mask_secrets
is true.
.Ss Changing a file
.Ic tend diff Ar file
shows what is different from what runs;
.Ic tend apply Ar file
changes just that.
An app whose options and variables are the same keeps its processes;
others are reloaded.
A changed
.Li uid , gid , exec_mode , listen , namespace , instance_var , increment_var
or
.Li spare
makes a new one.
With
.Fl -prune
apps that the file had started and names no more are deleted.
An
.Li env_file
that was written after the start counts as a change.
.Sh OPTIONS
.Bl -tag -width Ds
)";

constexpr std::string_view kEnd = R"(.It Li env_ Ns Ar NAME
Variables that
.Fl -env Ar NAME
lays over
.Li env .
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa ecosystem.config.js
Read by
.Ic tend start
without operands; also
.Pa ecosystem.config.cjs , ecosystem.config.mjs , ecosystem.config.json ,
.Pa ecosystem.json ,
.Pa ecosystem.config.yml
and
.Pa ecosystem.config.yaml .
.El
.Sh EXAMPLES
.Bd -literal
{
  "kill_timeout": "5s",
  "apps": [
    {"name": "api", "script": "server.js", "instances": "max",
     "env": {"PORT": 3000}, "env_production": {"NODE_ENV": "production"}},
    {"name": "jobs", "script": "jobs.py", "env_file": ".env"}
  ]
}
.Ed
.Pp
.Ic tend schema
prints a JSON schema for editors.
.Sh SEE ALSO
.Xr tend 1
)";

constexpr std::size_t kWidth = 78;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '"')
      out += "\\(dq";
    else
      out += c;
  }
  return out;
}

// Lines of text, none of which begins a request.
std::string filled(std::string_view text) {
  std::string out, line;
  const auto end_line = [&] {
    if (line.starts_with('.') || line.starts_with('\'')) out += "\\&";
    out += line + "\n";
    line.clear();
  };
  for (const std::string& word : split(text, ' ')) {
    const std::string next = escaped(word);
    if (!line.empty() && line.size() + 1 + next.size() > kWidth) end_line();
    line += (line.empty() ? "" : " ") + next;
  }
  end_line();
  return out;
}

// "a|b|c" as "a, b, c", which may be broken into lines.
std::string accepted(const OptionRow& row) {
  std::string out;
  for (const std::string& part : split(row.accepts, '|')) out += (out.empty() ? "" : ", ") + part;
  if (row.accepts == "cron") return "a cron pattern of 5 or 6 fields.";
  if (row.accepts == "octal") return "an octal number.";
  if (row.accepts == "cores") return "a number of cores, or per cent of one.";
  return out + ".";
}

}  // namespace

std::string generate_ecosystem_man() {
  std::string out(kBegin);
  for (const OptionRow& row : options()) {
    out += ".It Li " + std::string(row.key) + "\n" + filled(row.help);
    if (!row.accepts.empty()) out += filled("Accepts: " + accepted(row));
    if (const std::string text = show(AppSpec{}, row); !text.empty()) out += filled("Default: " + text + ".");
    if (!row.aliases.empty()) {
      std::string names;
      for (const std::string& name : split(row.aliases, ' ')) names += (names.empty() ? "" : ", ") + name;
      out += filled("Other names: " + names + ".");
    }
    if (!row.flag.empty()) {
      std::string flags;
      for (const std::string& flag : split(row.flag, ',')) flags += (flags.empty() ? "" : ", ") + flag;
      out += filled("On the command line: " + flags + ".");
    }
  }
  return out + std::string(kEnd);
}

}  // namespace tend::cli
