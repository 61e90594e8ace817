"""Walks the table of tend-pm2(7): every row has a case here that runs the command or flag under the name pm2."""

import json
import os
import pty
import re
import signal
import subprocess
import unittest
from pathlib import Path

from harness import BIN, ROOT, TendTest, alive, free_port, limit, wait_for

PAGE = ROOT / "man/tend-pm2.7"
COMMANDS, FLAGS = {}, {}


def rows(section):
    """{name: verdict} of a section of the page."""
    text = PAGE.read_text().split(f".Sh {section}\n")[1].split("\n.Sh ")[0]
    found = {}
    for head, body in re.findall(r"^\.It (.*)\n(.*)$", text, re.M):
        verdict = re.match(r"(Same|Better|Absent)(: .+)?\.$", body)
        if not verdict:
            raise AssertionError(f"{head}: {body!r} is not Same, Better or Absent")
        if head.startswith("Cm "):
            found[head[3:]] = verdict[1]
        else:
            names = [n.replace("Fl ", "-").replace("\\-", "-") for n in head.split(" , ")]
            found[", ".join(names)] = verdict[1]
    return found


def cases(table):
    """A decorator: the function is the case of each of these rows, and gets the row's name."""
    def rows_named(*names):
        def add(function):
            for name in names:
                table[name] = lambda test, name=name: function(test, name)
            return function
        return add
    return rows_named


command, flag = cases(COMMANDS), cases(FLAGS)


class Pm2(TendTest):
    def setUp(self):
        super().setUp()
        self.link = self.tend.bin / "pm2"
        self.link.symlink_to(os.path.realpath(BIN))
        self.home = self.tend.dir / "pm2-home"
        self.env = {**self.tend.env, "PM2_HOME": str(self.home), "HOME": str(self.tend.dir), "USER": "someone"}
        self.addCleanup(lambda: self.pm2("kill"))
        self.tend.sleeper("web.sh")

    def pm2(self, *args, stdin=None, env=None, timeout=60):
        return subprocess.run([self.link, *map(str, args)], cwd=self.tend.work, env={**self.env, **(env or {})},
                              input=stdin if stdin is not None else "", capture_output=True, text=True,
                              timeout=limit(timeout))

    def good(self, *args, **kwargs):
        done = self.pm2(*args, **kwargs)
        self.assertEqual(done.returncode, 0, f"pm2 {' '.join(map(str, args))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def bad(self, *args, **kwargs):
        """Exit 1; what was said on both streams."""
        done = self.pm2(*args, **kwargs)
        self.assertEqual(done.returncode, 1, f"pm2 {' '.join(map(str, args))}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def records(self):
        return json.loads(self.good("jlist"))

    def record(self, name="web"):
        found = [r for r in self.records() if r["name"] == name]
        return found[0] if found else None

    def fresh(self, *flags, name="web"):
        """web alone, started with these flags; its record."""
        if self.records():
            self.good("delete", "all")
        self.good("start", "web.sh", *flags)
        return self.record(name)

    def setting(self, key, *flags):
        return self.fresh(*flags)["pm2_env"].get(key)

    def absent(self, *args):
        text = self.bad(*args)
        self.assertRegex(text, r"\[PM2\]\[ERROR\] .* is not part of tend: .+")

    def walk(self, section, cases):
        table = rows(section)
        self.assertEqual(set(table) - set(cases), set(), "rows without a case")
        self.assertEqual(set(cases) - set(table), set(), "cases without a row")
        for name, verdict in table.items():
            with self.subTest(name):
                if self.records() != []:
                    self.good("delete", "all")
                self.assertEqual(cases[name](self) == "absent", verdict == "Absent", verdict)

    def test_every_command_of_the_table_does_what_its_row_says(self):
        self.walk("COMMANDS", COMMANDS)

    def test_every_flag_of_the_table_does_what_its_row_says(self):
        self.walk("FLAGS", FLAGS)

    def test_the_table_has_every_command_and_flag_that_pm2_knows(self):
        """Whatever the help offers for an app is in the table or in tend's own part of the manual."""
        known = {n for names in rows("FLAGS") for n in names.split(", ")}
        help_text = self.good("--help")
        own = self.good("generate", "man") + (ROOT / "man/tend.1").read_text()
        for name in set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", help_text)):
            self.assertTrue(name in known or name in own.replace("\\-", "-") or name.replace("--", "-", 1) in own,
                            f"{name} is documented nowhere")


# Processes ------------------------------------------------------------------------------------------------------------

@command("start")
def _(t, name):
    out = t.good("start", "web.sh")
    t.assertRegex(out, r"\[PM2\] Starting .*/web\.sh in fork_mode \(1 instance\)")
    t.assertIn("[PM2] Done.", out)
    t.assertIn("Script already launched, add -f option to force re-execution", t.bad("start", "web.sh"))
    t.assertIn("[PM2] Process successfully started", t.good("start", "web"))
    t.assertIn("[PM2][ERROR] Script not found", t.bad("start", "missing.js"))
    t.assertIn("File ecosystem.config.js not found", t.bad("start"))


@command("stop")
def _(t, name):
    t.fresh()
    out = t.good("stop", "web")
    t.assertIn("[PM2] Applying action stopProcessId on app [web](ids: [ 0 ])", out)
    t.assertIn("[PM2] [web](0) ✓", out)
    t.good("stop", "web")
    t.assertEqual(t.record()["pm2_env"]["status"], "stopped")
    t.assertIn("[PM2][ERROR] Process or Namespace nobody not found", t.bad("stop", "nobody"))
    t.assertIn("7 : id unknown", t.bad("stop", "7"))


@command("restart")
def _(t, name):
    before = t.fresh()["pid"]
    out = t.good("restart", "0")
    t.assertIn("Use --update-env to update environment variables", out)
    t.assertIn("restartProcessId on app [0](ids: [ '0' ])", out)
    t.assertEqual((t.record()["pm2_env"]["restart_time"], t.record()["pid"] != before), (1, True))
    t.assertIn("Using --env [env] without passing the ecosystem.config.js does not work",
               t.bad("restart", "web", "--env", "x"))


@command("reload")
def _(t, name):
    t.fresh()
    out = t.good("reload", "all")
    t.assertIn("reloadProcessId on app [all]", out)
    t.assertNotIn("┌", out)  # no list
    t.assertIn("PM2 ID unknown", t.bad("reload", "9"))


@command("delete", "del")
def _(t, name):
    t.fresh()
    t.assertIn("deleteProcessId on app [web]", t.good(name, "web"))
    t.assertEqual(t.records(), [])
    t.assertIn("[PM2][WARN] No process found", t.bad(name, "all"))


@command("startOrRestart", "startOrReload", "startOrGracefulReload")
def _(t, name):
    file = t.tend.json_file("apps.json", {"apps": [{"name": "web", "script": "web.sh"}]})
    t.assertIn("[PM2][WARN] Applications web not running, starting...", t.good(name, file))
    t.good(name, file)
    t.assertEqual(t.record()["pm2_env"]["restart_time"], 1)
    t.bad(name, "missing.json")


@command("scale")
def _(t, name):
    t.fresh()
    t.assertEqual(t.good("scale", "web", "3").count("[PM2] Scaling up application"), 2)
    t.good("scale", "web", "+1")
    t.assertEqual(len(t.records()), 4)
    t.assertIn("Nothing to do", t.bad("scale", "web", "4"))
    t.good("scale", "web", "1")
    t.assertEqual(len(t.records()), 1)
    t.assertIn("[PM2] Applying action deleteProcessId on app [web](ids: [ ", t.good("scale", "web", "0"))
    t.assertEqual(t.records(), [])
    t.fresh()
    t.assertIn("Application nobody not found", t.bad("scale", "nobody", "2"))


@command("reset")
def _(t, name):
    t.fresh()
    t.good("restart", "web")
    t.assertIn("[PM2] Resetting meta for process id 0", t.good("reset", "all"))
    t.assertEqual(t.record()["pm2_env"]["restart_time"], 0)
    t.assertIn("Unknown process name", t.bad("reset", "nobody"))
    t.good("delete", "all")
    t.good("reset", "all")


@command("sendSignal")
def _(t, name):
    t.tend.script("web.sh", "#!/bin/bash\ntrap 'echo got it' USR1\nwhile :; do sleep 0.05; done\n")
    try:
        t.fresh()
        out = t.good("sendSignal", "SIGUSR1", "web")
        t.assertIn("successfully sent signal SIGUSR1 to process name web", out)
        t.tend.wait_text(t.home / "logs/web-out.log", "got it")
        t.bad("sendSignal", "SIGNOTHING", "web")
        t.bad("sendSignal", "SIGUSR1", "nobody")
    finally:
        t.tend.sleeper("web.sh")


@command("send", "attach")
def _(t, name):
    t.tend.script("echo.sh", "#!/bin/bash\nwhile read -r line; do echo \"heard $line\"; done\n")
    t.good("start", "echo.sh")
    if name == "send":
        t.good("send", "0", "a b")
        t.tend.wait_text(t.home / "logs/echo-out.log", "heard a b")
        t.assertRegex(t.bad("send", "55", "x"), r"unknown")
    else:
        child = subprocess.Popen([t.link, "attach", "0"], env=t.env, cwd=t.tend.work, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        child.stdin.write("hello\n")
        child.stdin.flush()
        t.assertIn("heard hello", child.stdout.readline())
        child.stdin.close()
        t.assertEqual(child.wait(limit(10)), 0)
        child.stdout.close()
        t.bad("attach", "echo")


@command("trigger", "inspect")
def _(t, name):
    t.need("node")
    action = "internal:inspect" if name == "inspect" else "hello"
    t.tend.script("act.js", "process.send({type: 'axm:action', data: {action_name: '" + action + "', arity: 1}});\n"
                  "process.on('message', (m) => process.send({type: 'axm:reply', data: {action_name: '" + action + "', return: "
                  "{success: true, port: 1, was: m}}}));\nsetInterval(() => {}, 1000);\n")
    t.good("start", "act.js")
    wait_for(lambda: t.record("act")["pm2_env"]["axm_actions"], 10, "the action")
    if name == "inspect":
        t.assertRegex(t.good("inspect", "act"), r"Inspect (en|dis)abled on act")
        return
    out = t.good("trigger", "act", "hello")
    t.assertIn("1 processes have received command hello", out)
    t.assertRegex(out, r"\[act:0:default\]=.*\"?success\"?: ?true")
    t.bad("trigger", "act", "bye")
    t.assertIn("Not any process has received a command", t.bad("trigger", "nobody", "hello"))


@command("pull", "forward", "backward")
def _(t, name):
    t.need("git")
    t.fresh()
    t.assertIn("[PM2] No versioning system found for process web", t.good(name, "web"))
    t.assertIn("No processes with this name or id : nobody", t.bad(name, "nobody"))


# Looking --------------------------------------------------------------------------------------------------------------

@command("list", "ls", "l", "ps", "status")
def _(t, name):
    t.fresh()
    out = t.good(name)
    t.assertRegex(out.split("\n")[1], r"│ id +│ name +│ namespace +│ version +│ mode +│ pid +│ uptime +│ ↺ +│ status")
    t.assertRegex(out, r"│ 0 +│ web +│ default +│ N/A +│ fork +│ \d+ +│ \d+s +│ 0 +│ online")


@command("jlist")
def _(t, name):
    pid = t.fresh()["pid"]
    out = t.good("jlist")
    t.assertFalse(out.endswith("\n"))
    t.assertEqual([(r["name"], r["pm_id"], r["pid"]) for r in json.loads(out)], [("web", 0, pid)])


@command("prettylist")
def _(t, name):
    t.fresh()
    out = t.good("prettylist")
    for text in ("name: 'web'", "status: 'online'", "restart_time: 0", "watch: false"):
        t.assertIn(text, out)


@command("slist", "sysinfos")
def _(t, name):
    out = t.good(name)
    t.assertRegex(out, r"'CPU Usage': \{ value: [\d.]+, type: 'metric', unit: '%', historic: true \}")
    t.assertIn("'RAM Total'", out)


@command("describe", "desc", "info", "show")
def _(t, name):
    t.fresh()
    out = t.good(name, "web")
    t.assertIn(" Describing process with id 0 - name web ", out)
    for row in ("status", "script path", "error log path", "exec mode", "unstable restarts", "created at"):
        t.assertRegex(out, rf"│ {row} +│ .+ │")
    t.assertIn("Divergent env variables from local env", out)
    t.assertIn("nobody doesn't exist", t.bad(name, "nobody"))


@command("env")
def _(t, name):
    t.fresh()
    t.good("delete", "all")
    t.good("start", "web.sh", env={"TASTE": "salt"})
    t.assertIn("TASTE: salt\n", t.good("env", "0"))
    t.assertIn("Modules with id 5 not found", t.bad("env", "5"))


@command("id")
def _(t, name):
    t.fresh("-i", "2")
    t.assertEqual(t.good("id", "web"), "[ 0, 1 ]\n")
    t.assertEqual(t.good("id", "nobody"), "[]\n")


@command("pid")
def _(t, name):
    pid = t.fresh()["pid"]
    t.assertEqual(t.good("pid", "web"), f"{pid}\n")
    t.assertEqual(t.good("pid", "nobody"), "\n")


@command("report")
def _(t, name):
    t.fresh()
    out = t.good("report")
    t.assertTrue(out.startswith("\n\n\n```\n--- PM2 report -"))
    for line in (r"^pm2d version +: ", r"^local pm2 +: 7\.0\.4", r"^cpus nb +: \d", r"│ web "):
        t.assertRegex(out, re.compile(line, re.M))


@command("ping")
def _(t, name):
    t.assertIn("{ msg: 'pong' }", t.good("ping"))


@command("logs", "log")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/sh\necho one; echo two >&2; exec sleep 1000\n")
    t.good("start", "say.sh")
    t.tend.wait_text(t.home / "logs/say-error.log", "two")
    out = t.good(name, "say", "--nostream")
    t.assertIn("[TAILING] Tailing last 15 lines for [say] process (change the value with --lines option)", out)
    t.assertRegex(out, r"0\|say +\| one")
    t.assertRegex(out, r"0\|say +\| two")
    for form in ("--json", "--format"):  # they are for what comes
        t.assertRegex(t.good(name, "say", "--nostream", form), r"0\|say +\| one")


@command("flush")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/sh\necho one; exec sleep 1000\n")
    t.good("start", "say.sh")
    log = t.home / "logs/say-out.log"
    t.tend.wait_text(log, "one")
    out = t.good("flush", "say")
    t.assertIn(f"[PM2] {log}", out)
    t.assertIn("[PM2] Logs flushed", out)
    t.assertEqual(log.read_text(), "")


@command("reloadLogs")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/bash\ntrap 'echo again' USR1\necho one\nwhile :; do sleep 0.05; done\n")
    t.good("start", "say.sh")
    log = t.home / "logs/say-out.log"
    t.tend.wait_text(log, "one")
    log.rename(log.with_suffix(".old"))
    t.assertIn("All logs reloaded", t.good("reloadLogs"))
    t.good("sendSignal", "SIGUSR1", "say")
    t.assertEqual(t.tend.wait_text(log, "again"), "again\n")


@command("logrotate")
def _(t, name):
    if os.geteuid() == 0 and Path("/etc/logrotate.d").is_dir():
        file = Path("/etc/logrotate.d/pm2-tendtest")
        try:
            t.assertIn("Logrotate configuration added to", t.good("logrotate", "-u", "tendtest"))
            text = file.read_text()
            for word in (str(t.home / "logs/*.log"), "weekly", "rotate 12", "create 0640 tendtest tendtest"):
                t.assertIn(word, text)
        finally:
            file.unlink(missing_ok=True)
    else:
        t.bad("logrotate")


@command("monit", "dashboard", "dash", "imonit")
def _(t, name):
    t.fresh()
    t.bad(name)  # no terminal here
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(t.tend.work)
        os.execve(t.link, ["pm2", name], {**t.env, "TERM": "xterm", "LINES": "40", "COLUMNS": "120"})
    seen = b""
    while b"web" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"q")

    def over():
        try:
            os.read(terminal, 4096)
        except OSError:
            return True
        return False
    wait_for(over, 10, "the end after q")
    t.assertEqual(os.waitpid(child, 0)[1], 0)
    os.close(terminal)


@command("examples")
def _(t, name):
    t.assertTrue(t.good("examples").startswith("[PM2] pm2 usage examples:"))


@command("completion")
def _(t, name):
    out = t.good("completion")
    t.assertIn("###-begin-pm2-completion-###", out)
    t.assertIn("###-end-pm2-completion-###", out)


# Daemon ---------------------------------------------------------------------------------------------------------------

@command("kill")
def _(t, name):
    pid = t.fresh()["pid"]
    out = t.good("kill")
    t.assertIn("[PM2] Applying action deleteProcessId on app [all](ids: [ 0 ])", out)
    t.assertIn("[PM2] [v] All Applications Stopped\n[PM2] [v] PM2 Daemon Stopped", out)
    t.assertFalse(alive(pid))
    t.assertIn("[PM2][WARN] No process found", t.pm2("kill").stdout + t.pm2("kill").stderr)


@command("save", "dump")
def _(t, name):
    t.assertIn("[PM2][WARN] PM2 is not managing any process, skipping save...", t.good(name))
    t.fresh()
    t.assertIn(f"[PM2] Successfully saved in {t.home}/dump.pm2", t.good(name))
    json.loads((t.home / "dump.pm2").read_text())


@command("cleardump")
def _(t, name):
    t.fresh()
    t.good("save")
    t.assertIn(f"[PM2] Successfully created {t.home}/dump.pm2", t.good("cleardump"))
    t.good("delete", "all")
    t.good("resurrect")
    t.assertEqual(t.records(), [])


@command("resurrect")
def _(t, name):
    t.fresh("--max-restarts", "7")
    t.good("save")
    t.good("delete", "all")
    out = t.good("resurrect")
    t.assertIn("[PM2] Resurrecting", out)
    t.assertIn(f"[PM2] Restoring processes located in {t.home}/dump.pm2", out)
    t.assertEqual(t.record()["pm2_env"]["max_restarts"], 7)
    t.good("delete", "all")
    t.good("cleardump")
    (t.home / "dump.pm2").unlink()
    (t.home / "dump.pm2.bak").unlink(missing_ok=True)
    t.assertIn("No processes saved; DUMP file doesn't exist", t.pm2("resurrect").stderr)


@command("update", "updatePM2")
def _(t, name):
    pid = t.fresh()["pid"]
    t.assertIn(">>>>>>>>>> PM2 updated", t.good(name))
    t.assertEqual((t.record()["pid"], t.record()["pm2_env"]["restart_time"]), (pid, 0))


@command("startup", "unstartup")
def _(t, name):
    done = t.pm2(name, "nonsense")
    t.assertEqual(done.returncode, 1)
    t.assertIn("Unknown platform / init system name", done.stdout + done.stderr)


@command("deepUpdate")
def _(t, name):
    t.assertRegex(t.bad(name), r"\[PM2\]\[ERROR\] deepUpdate: .+")
    return "absent"


# Configuration --------------------------------------------------------------------------------------------------------

@command("set", "config")
def _(t, name):
    t.assertIn("[PM2] Setting changed", t.good(name, "shop:colour", "blue"))
    t.assertEqual(json.loads((t.home / "module_conf.json").read_text())["shop"]["colour"], "blue")


@command("get", "conf")
def _(t, name):
    t.good("set", "shop:colour", "blue")
    if name == "get":
        t.assertIn("Value for module shop key colour: blue", t.good("get", "shop:colour"))
    t.assertIn("$ pm2 set shop:colour blue", t.good(name))


@command("multiset", "unset")
def _(t, name):
    t.good("multiset", "shop:a 1 shop:b 'two words'")
    read = lambda: json.loads((t.home / "module_conf.json").read_text())["shop"]
    t.assertEqual((read()["a"], read()["b"]), ("1", "two words"))
    t.good("unset", "shop:a")
    t.assertNotIn("a", read())


@command("ecosystem", "init")
def _(t, name):
    file = t.tend.work / "ecosystem.config.js"
    t.assertIn(f"File {file} generated", t.good(name))
    t.assertIn("deploy", file.read_text())
    t.good(name, "simple")
    t.assertIn("app1", file.read_text())
    file.unlink()


@command("install", "module:install")
def _(t, name):
    t.bad(name, "some-module")
    t.assertIn("built in", t.good(name, "pm2-logrotate"))
    t.good("uninstall", "pm2-logrotate")
    return "absent"


@command("uninstall", "module:uninstall")
def _(t, name):
    t.bad(name, "some-module")
    return "absent"


@command("serve", "expose")
def _(t, name):
    (t.tend.work / "public").mkdir(exist_ok=True)
    (t.tend.work / "public/index.html").write_text("<p>served")
    port = free_port()
    t.assertRegex(t.good(name, "public", port), rf"\[PM2\] Serving .*/public on port {port}")
    record = t.record(f"static-page-server-{port}")
    t.assertEqual(record["pm2_env"]["status"], "online")
    text = subprocess.run(["curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "0",
                           f"http://127.0.0.1:{port}/"], capture_output=True, text=True).stdout
    t.assertEqual(text, "<p>served")


@command("deploy")
def _(t, name):
    t.tend.json_file("ecosystem.json", {"deploy": {"here": {"host": "localhost", "ref": "origin/main", "repo": "r",
                                                            "path": str(t.tend.dir / "deployed")}}})
    (t.tend.dir / "deployed/current").mkdir(parents=True)
    out = t.good("deploy", "here", "exec", "pwd")
    t.assertIn("--> Deploying to here environment\n--> on host localhost", out)
    t.assertIn(f"{t.tend.dir}/deployed/current\n--> Success", out)
    t.assertIn("there environment is not defined in ecosystem.json file", t.bad("deploy", "there"))
    (t.tend.work / "ecosystem.json").unlink()


@command("profile:cpu", "profile:mem", "autoinstall", "create", "module:update", "module:generate",
         "package", "publish", "module:publish", "install-otel", "uninstall-otel", "link", "unlink", "plus", "register",
         "login", "logout", "open")
def _(t, name):
    t.absent(name, "web")
    return "absent"


@command("monitor", "unmonitor")
def _(t, name):
    t.assertRegex(t.bad(name, "web"), rf"\[PM2\]\[ERROR\] {name}: there is no monitoring service")
    return "absent"


# Flags ----------------------------------------------------------------------------------------------------------------

def kept(names, key, value, *words):
    """A flag that is found in the record."""
    def case(t, name):
        for one in names.split(", "):
            t.assertEqual(t.setting(key, one, *words), value, one)
    flag(names)(case)


kept("--namespace", "namespace", "green", "green")
kept("-x, --execute-command", "exec_mode", "fork_mode")
kept("--log-type", "log_type", "json", "json")
kept("--log-date-format", "log_date_format", "YYYY", "YYYY")
kept("--time", "log_date_format", "YYYY-MM-DDTHH:mm:ss")
kept("--merge-logs", "merge_logs", True)
kept("--disable-logs", "disable_logs", True)
kept("--shutdown-with-message", "shutdown_with_message", True)
kept("-k, --kill-timeout", "kill_timeout", 900, "900")
kept("--listen-timeout", "listen_timeout", 900, "900")
kept("--max-memory-restart", "max_memory_restart", 100 << 20, "100M")
kept("--restart-delay", "restart_delay", 250, "250")
kept("--exp-backoff-restart-delay", "exp_backoff_restart_delay", 120, "120")
kept("--max-restarts", "max_restarts", 4, "4")
kept("-c, --cron, --cron-restart", "cron_restart", "0 5 * * *", "0 5 * * *")
kept("--ignore-watch", "ignore_watch", ["a", "b"], "a b")
kept("--watch-delay", "watch_delay", 4000, "4")
kept("--stop-exit-codes", "stop_exit_codes", [0, 3], "0", "3")
kept("--no-autorestart", "autorestart", False)
kept("--no-autostart", "autostart", False)
kept("--no-treekill", "treekill", False)
kept("--no-vizion", "vizion", False)
kept("--no-pmx", "pmx", False)
kept("--no-automation", "automation", False)
kept("--trace", "trace", True)
kept("--disable-trace", "disable_trace", True)
kept("--v8", "v8", True)
kept("--event-loop-inspector", "event_loop_inspector", True)
kept("--deep-monitoring", "deep_monitoring", True)
kept("--source-map-support", "source_map_support", True)
kept("--disable-source-map-support", "disable_source_map_support", True)


@flag("-n, --name")
def _(t, name):
    for one in ("-n", "--name"):
        t.assertIsNotNone(t.fresh(one, "other", name="other"))
    t.good("restart", "other", "--name", "third")
    t.assertIsNotNone(t.record("third"))


@flag("-i, --instances")
def _(t, name):
    t.fresh("-i", "2")
    t.assertEqual([r["pm2_env"]["NODE_APP_INSTANCE"] for r in t.records()], [0, 1])
    t.fresh("--instances", "max")
    t.assertEqual(len(t.records()), len(os.sched_getaffinity(0)))


@flag("--interpreter")
def _(t, name):
    (t.tend.work / "plain").write_text("exec sleep 1000\n")
    t.good("start", "plain", "--interpreter", "bash")
    t.assertEqual(t.record("plain")["pm2_env"]["exec_interpreter"], "bash")
    t.assertIn("is NOT AVAILABLE in PATH", t.bad("start", "web.sh", "--interpreter", "nosuchprogram"))


@flag("--interpreter-args, --node-args")
def _(t, name):
    for one in name.split(", "):
        t.assertEqual(t.setting("node_args", one, "--posix"), ["--posix"])


@flag("--cwd")
def _(t, name):
    t.assertEqual(t.fresh("--cwd", str(t.tend.work))["pm2_env"]["pm_cwd"], str(t.tend.work))


@flag("-o, --output", "-e, --error", "-l, --log", "-p, --pid")
def _(t, name):
    key = {"-o": "pm_out_log_path", "-e": "pm_err_log_path", "-l": "pm_log_path", "-p": "pm_pid_path"}[name[:2]]
    for one in name.split(", "):
        path = t.setting(key, one, str(t.tend.dir / "x.log"))
        t.assertTrue(path.startswith(str(t.tend.dir / "x")), path)
    if name[:2] == "-l":
        t.assertEqual(t.setting(key, "-l"), str(t.home / "logs/web.log"))


@flag("--env")
def _(t, name):
    file = t.tend.json_file("apps.json", {"name": "web", "script": "web.sh", "env": {"A": "1"}, "env_x": {"A": "2"}})
    t.good("start", file, "--env", "x")
    t.assertEqual(str(t.record()["pm2_env"]["A"]), "2")
    t.assertIn("[PM2][WARN] Environment [y] is not defined in process file", t.good("restart", file, "--env", "y"))


@flag("-a, --update-env")
def _(t, name):
    t.fresh()
    for i, one in enumerate(name.split(", ")):
        t.good("restart", "web", env={"TASTE": f"old{i}"})
        t.assertNotEqual(t.record()["pm2_env"].get("TASTE"), f"old{i}")
        t.good("restart", "web", one, env={"TASTE": f"new{i}"})
        t.assertEqual(t.record()["pm2_env"]["TASTE"], f"new{i}")


@flag("--filter-env")
def _(t, name):
    t.good("start", "web.sh", "--filter-env", "AST", env={"TASTE": "salt", "OTHER": "1"})
    t.assertEqual(("TASTE" in t.record()["pm2_env"], "OTHER" in t.record()["pm2_env"]), (False, True))


@flag("-f, --force")
def _(t, name):
    t.fresh()
    for one in name.split(", "):
        t.good("start", "web.sh", one)
    t.assertEqual(len(t.records()), 3)


@flag("--parallel")
def _(t, name):
    t.fresh("-i", "3")
    t.good("reload", "web", "--parallel", "2")
    t.assertEqual([r["pm2_env"]["restart_time"] for r in t.records()], [1, 1, 1])
    t.bad("reload", "web", "--parallel", "none")


@flag("--wait-ready")
def _(t, name):
    t.assertIs(t.setting("wait_ready", "--wait-ready", "--listen-timeout", "50"), True)


@flag("--watch", "--ext")
def _(t, name):
    (t.tend.work / "watched").mkdir(exist_ok=True)
    file = t.tend.work / "watched/a.txt"
    file.write_text("1")
    words = ("--watch", "watched") if name == "--watch" else ("--ext", "txt", "--watch", "watched")
    t.fresh(*words)
    if name == "--ext":
        (t.tend.work / "watched/a.bin").write_text("not looked at")
    file.write_text("2")
    wait_for(lambda: t.record()["pm2_env"]["restart_time"] == 1, 10, "the restart")


@flag("--uid", "--gid")
def _(t, name):
    if os.geteuid() != 0:
        t.assertIn("To use --uid and --gid please run pm2 as root", t.bad("start", "web.sh", name, "nobody"))
        return
    who = "nobody" if name == "--uid" else "nogroup"
    t.tend.dir.chmod(0o755)
    pid = t.fresh(name, who)["pid"]
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().split("\n") if x.startswith(name[2].upper() + "id:"))
    t.assertEqual(line.split()[1], "65534")
    t.assertIn("cannot be found", t.bad("start", "web.sh", "-f", name, "no-such-one"))


@flag("-u, --user", "--hp", "--service-name", "--wait-ip")
def _(t, name):
    words = {"-u, --user": ("-u", "someone"), "--hp": ("--hp", t.tend.dir / "x"),
             "--service-name": ("--service-name", "mine"), "--wait-ip": ("--wait-ip",)}[name]
    done = t.pm2("startup", "systemd", "--print", *words)
    t.assertEqual(done.returncode, 0, done.stderr)
    if name == "--service-name":
        t.bad("startup", "systemd", "--print", name, "a/b")
    else:
        t.assertIn({"-u, --user": "User=someone", "--hp": f'"PM2_HOME={t.tend.dir}/x/.pm2"',
                    "--wait-ip": "network-online.target"}[name], done.stdout)


@flag("-w, --write")
def _(t, name):
    for one in name.split(", "):
        t.fresh(one, "--max-restarts", "3")
        file = t.tend.work / "web-pm2.json"
        t.assertEqual(json.loads(file.read_text())["apps"][0]["max_restarts"], 3)
        file.unlink()


@flag("--only")
def _(t, name):
    file = t.tend.json_file("apps.json", [{"name": n, "script": "web.sh"} for n in ("a", "b", "c")])
    t.good("start", file, "--only", "a, c")
    t.assertEqual([r["name"] for r in t.records()], ["a", "c"])
    file = t.tend.json_file("envs.json", [{"name": "a", "script": "web.sh", "env_one": {"A": "1"}}, {"name": "b", "script": "web.sh"}])
    t.assertNotIn("is not defined in process file", t.good("restart", file, "--only", "a", "--env", "one"))
    t.assertIn("is not defined in process file", t.good("restart", file, "--env", "one"))


@flag("--attach", "--no-daemon")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/sh\nwhile :; do echo tick; sleep 0.1; done\n")
    if name == "--no-daemon":
        t.good("kill")
    child = subprocess.Popen([t.link, "start", "say.sh", name], env=t.env, cwd=t.tend.work, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: "tick" in child.stdout.readline(), 15, "a line of the app")
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=limit(20))
    t.assertEqual(t.record("say") is None, name == "--no-daemon")


@flag("--sort")
def _(t, name):
    t.fresh()
    t.good("start", "web.sh", "-f", "--name", "aaa")
    names = lambda *words: re.findall(r"│ \d +│ (aaa|web) ", t.good("ls", *words))
    t.assertEqual((names(), names("--sort", "name:desc"), names("--sort", "id")),
                  (["aaa", "web"], ["web", "aaa"], ["web", "aaa"]))


@flag("-m, --mini-list")
def _(t, name):
    t.fresh()
    for one in name.split(", "):
        t.assertIn("+--- web\n", t.good("ls", one))


@flag("--no-color")
def _(t, name):
    env = {"NO_COLOR": "", "FORCE_COLOR": "1"}
    t.assertIn("\x1b[", t.good("ls", env=env))
    t.assertNotIn("\x1b[", t.good("ls", "--no-color", env=env))


@flag("-s, --silent")
def _(t, name):
    t.fresh()
    for one in name.split(", "):
        t.assertEqual(t.good(one, "restart", "web"), "")
        t.assertNotEqual(t.good("jlist", one), "")


@flag("-v, -V, --version", "-h, --help")
def _(t, name):
    for one in name.split(", "):
        out = t.good(one)
        t.assertEqual(out == "7.0.4\n", "version" in name)
        t.assertEqual("startOrReload" in out, "help" in name)


@flag("-t, --tree")
def _(t, name):
    for one in name.split(", "):
        t.assertRegex(t.good("slist", one), r"├─ CPU Usage: [\d.]+ %")


@flag("--lines", "--raw", "--err", "--out", "--timestamp", "--nostream", "--highlight")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/sh\necho one; echo two; echo bad >&2\nexec sleep 1000\n")
    t.good("start", "say.sh")
    t.tend.wait_text(t.home / "logs/say-error.log", "bad")
    words = {"--lines": ["1"], "--highlight": ["two"]}.get(name, [])
    done = t.pm2("logs", "say", name, *words, *([] if name == "--nostream" else ["--nostream"]),
                 env={"NO_COLOR": "", "FORCE_COLOR": "1"} if name == "--highlight" else None)
    out = done.stdout
    t.assertEqual(done.returncode, 0)
    t.assertEqual("one" in out, name not in ("--lines", "--err"))
    t.assertEqual("bad" in out + done.stderr, name != "--out")
    t.assertEqual("0|say" in out, name != "--raw")
    if name == "--highlight":
        t.assertRegex(out, "\x1b\\[[0-9;]*m[^\x1b]*two")


@flag("--json", "--format")
def _(t, name):
    t.tend.script("say.sh", "#!/bin/sh\nwhile :; do echo tick; sleep 0.1; done\n")
    t.good("start", "say.sh")
    child = subprocess.Popen([t.link, "logs", "say", name], env=t.env, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()
    finally:
        child.kill()
        child.communicate()
    if name == "--json":
        t.assertEqual({k: json.loads(line)[k] for k in ("message", "type", "process_id", "app_name")},
                      {"message": "tick", "type": "out", "process_id": 0, "app_name": "say"})
    else:
        t.assertRegex(line, r"^timestamp=\S+ app=say id=0 type=out message=tick$")


@flag("--port", "--spa", "--ftp", "--basic-auth-username", "--basic-auth-password", "--monitor")
def _(t, name):
    (t.tend.work / "public").mkdir(exist_ok=True)
    (t.tend.work / "public/index.html").write_text("<p>served")
    port = free_port()
    words = {"--basic-auth-username": ("--basic-auth-username", "u", "--basic-auth-password", "p"),
             "--monitor": ("--monitor", "web")}.get(name, (name,))
    if name == "--basic-auth-password":
        words = ("--basic-auth-username", "u", "--basic-auth-password", "p")
    t.good("serve", "public", *(("--port", port) if name == "--port" else (port, *words)))

    def fetch(path, *more):
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--retry", "20", "--retry-connrefused",
                               "--retry-delay", "0", *more, f"http://127.0.0.1:{port}{path}"],
                              capture_output=True, text=True).stdout
    protected = name.startswith("--basic")
    t.assertEqual(fetch("/"), "401" if protected else "200")
    t.assertEqual(fetch("/", "-u", "u:p"), "200")
    t.assertEqual(fetch("/somewhere", "-u", "u:p"), "200" if name == "--spa" else "404")


@flag("--container", "--dist", "--image-name", "--node-version", "--fresh", "--dockerdaemon", "--docker", "--tarball",
      "--npm", "--v1", "--safe", "--info-node", "-d, --discrete", "--install-all")
def _(t, name):
    words = {"--image-name": ("x",), "--node-version": ("20",)}.get(name, ())
    for one in name.split(", "):
        t.absent("start", "web.sh", one, *words)
    t.assertEqual(t.records(), [])
    return "absent"


if __name__ == "__main__":
    unittest.main()
