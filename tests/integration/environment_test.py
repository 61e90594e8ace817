"""The environment of an app: computed from scratch at each start, told with its sources, secrets kept from view."""

import json
import os
import stat
import subprocess
import unittest
from pathlib import Path

from harness import BIN, TendTest, limit, processes_naming, wait_for

CANARY = "canary-5e1f7c"  # must be in no output, and in no file that others may read


def variables(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(entry.split("=", 1) for entry in file.read().decode(errors="replace").split("\0") if "=" in entry)


class Environment(TendTest):
    def file(self, app, name="eco.json", **fields):
        return self.tend.json_file(name, {"apps": [{"name": "a", "script": "sleep", "args": "1000", **app}], **fields})

    def seen(self, name="a"):
        return variables(self.tend.app(name)["pid"])

    def sources(self):
        answer = json.loads(self.tend.ok("env", "a", "--json").stdout)
        return {v["name"]: (v["value"], v["from"]) for v in answer[0]["variables"]}

    def test_a_changed_log_path_counts_from_the_apps_folder(self):
        self.tend.ok("start", self.tend.sleeper(), "--name", "s")
        self.tend.ok("restart", "s", "-o", "new.log", "-e", "NULL")
        record = self.tend.app("s")["pm2_env"]
        self.assertEqual(record["pm_err_log_path"], "/dev/null")
        self.assertEqual(record["pm_out_log_path"], str(self.tend.work / "new.log"))

    def test_a_variable_that_left_the_file_left_the_app(self):
        for words in (("restart", "eco.json"), ("startOrReload", "eco.json"), ("start", "eco.json"),
                      ("startOrRestart", "eco.json")):
            with self.subTest(command=words[0]):
                self.file({"env": {"KEPT": "1", "GONE": "1"}})
                self.tend.ok("start", "eco.json")
                self.assertEqual(self.seen()["GONE"], "1")
                self.file({"env": {"KEPT": "2"}})
                self.tend.ok(*words)
                self.assertEqual(self.seen()["KEPT"], "2")
                self.assertNotIn("GONE", self.seen())

    def test_production_is_left_without_env(self):
        self.file({"env": {"A": "plain"}, "env_production": {"A": "prod", "ONLY": "prod"}})
        self.tend.ok("start", "eco.json", "--env", "production")
        self.assertEqual((self.seen()["A"], self.seen()["ONLY"]), ("prod", "prod"))
        self.tend.ok("restart", "eco.json")
        self.assertEqual(self.seen()["A"], "plain")
        self.assertNotIn("ONLY", self.seen())

    def test_the_callers_environment_is_recorded_and_renewed_only_by_update_env(self):
        self.file({})
        self.tend.ok("start", "eco.json", env={"CALLER": "1", "OLD": "1"})
        self.tend.ok("restart", "a", env={"CALLER": "2"})
        self.tend.ok("restart", "eco.json", env={"CALLER": "2"})
        self.assertEqual(self.seen()["CALLER"], "1")
        self.tend.ok("restart", "a", "--update-env", env={"CALLER": "3"})
        self.assertEqual(self.seen()["CALLER"], "3")
        self.assertNotIn("OLD", self.seen())

    def test_each_variable_is_told_with_its_source(self):
        dotenv = self.tend.work / "app.env"
        dotenv.write_text("FROM_FILE=1\nB=file\n")
        self.file({"env_file": "app.env", "env": {"B": "env", "C": "env", "N": 5}, "env_production": {"C": "prod"},
                   "increment_var": "N"}, deploy={"production": {"env": {"D": "deploy"}}})
        self.tend.ok("start", "eco.json", "--env", "production", env={"CALLER": "c"})
        found = self.sources()
        for name, value, source in (("CALLER", "c", "caller"), ("FROM_FILE", "1", f"env_file {dotenv}"),
                                    ("B", "env", "env"), ("C", "prod", "env_production"),
                                    ("D", "deploy", "deploy.production.env"), ("N", "5", "increment_var"),
                                    ("NODE_APP_INSTANCE", "0", "instance_var"), ("pm_id", "0", "tend")):
            self.assertEqual(found[name], (value, source))
        real = self.seen()
        self.assertEqual({n: v for n, (v, _) in found.items() if n in real and n not in ("TEND_ID",)
                          and not n.startswith(("WATCHDOG", "TEND_HEART"))},
                         {n: v for n, v in real.items() if n in found and n not in ("TEND_ID",)
                          and not n.startswith(("WATCHDOG", "TEND_HEART"))})
        self.assertRegex(self.tend.ok("env", "a").stdout, r"(?m)^# env_production\nC: prod$")

    def test_nothing_is_inherited_with_filter_env_true(self):
        self.file({"filter_env": True, "env": {"A": "1"}})
        self.tend.ok("start", "eco.json", env={"CALLER": "c"})
        self.assertNotIn("CALLER", self.seen())
        self.assertEqual(self.seen()["A"], "1")
        self.assertIn("PATH", self.seen())

    def test_an_env_file_is_read_again_at_each_start(self):
        (self.tend.work / ".env").write_text("A=1\n")
        self.file({"env_file": ".env"})
        self.tend.ok("start", "eco.json")
        (self.tend.work / ".env").write_text("A=2\n")
        self.tend.ok("restart", "a")
        self.assertEqual(self.seen()["A"], "2")


class Secrets(TendTest):
    def test_a_secret_is_in_no_output_and_in_no_file_of_others(self):
        url = f"postgres://u:{CANARY}@db/x"
        app = {"name": "a", "script": "sleep", "args": "1000", "env": {"API_TOKEN": CANARY, "DATABASE_URL": url},
               "env_production": {"DB_PASSWORD": CANARY}}
        self.tend.json_file("eco.json", {"apps": [app]})
        (self.tend.work / "s.env").write_text(f"FILE_SECRET={CANARY}\n")
        self.tend.json_file("two.json", {"apps": [{"name": "b", "script": "sleep", "env_file": "s.env",
                                                   "args": ["1000"]}]})
        caller = {"MY_SECRET_KEY": CANARY}
        outputs = [self.tend.ok("start", "eco.json", env=caller), self.tend.ok("start", "two.json", env=caller),
                   self.tend.ok("start", self.tend.sleeper(), "--name", "c", "--", "--api-token", CANARY, f"--url={url}",
                                env={"URL": url})]
        self.assertEqual(variables(self.tend.app("a")["pid"])["API_TOKEN"], CANARY)
        self.assertEqual(variables(self.tend.app("b")["pid"])["FILE_SECRET"], CANARY)
        app["env"] = {"API_TOKEN": CANARY + "2", "DATABASE_URL": url + "2"}
        self.tend.json_file("eco.json", {"apps": [app]})
        self.tend.ok("save")
        os.kill(self.tend.app("b")["pid"], 9)
        self.tend.wait_status("b", "online")
        for words in (("jlist",), ("prettylist",), ("list", "--json"), ("list",), ("describe", "a"), ("describe", "b"),
                      ("describe", "a", "--json"), ("describe", "c"), ("describe", "c", "--json"), ("why", "c"), ("env", "a"), ("env", "b", "--json"),
                      ("env", "b"), ("env", "c"), ("why", "b"), ("why", "b", "--json"), ("check", "eco.json", "--json"),
                      ("diff", "eco.json"), ("diff", "eco.json", "--json"),
                      ("apply", "eco.json", "--dry-run", "--json"), ("apply", "eco.json", "--json")):
            outputs.append(self.tend.run(*words, env=caller))
        for done in outputs:
            self.assertNotIn(CANARY, done.stdout + done.stderr, done.args)
        self.assertIn(CANARY, self.tend.ok("env", "a", "--show-secrets").stdout)
        self.assertIn(CANARY, self.tend.ok("describe", "c", "--show-secrets").stdout)
        self.assertIn(CANARY, self.tend.ok("jlist", "--show-secrets").stdout)
        holders = 0
        for folder, folders, files in os.walk(self.tend.home):
            for name in files:
                path = Path(folder, name)
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
                if CANARY.encode() in path.read_bytes():
                    holders += 1
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)
                    self.assertNotIn("log", name)
        self.assertGreater(holders, 0)  # the journal: or the search above finds nothing anywhere
        self.assertEqual(stat.S_IMODE(self.tend.home.stat().st_mode) & 0o077, 0)
        self.assertNotIn(CANARY, self.tend.daemon_log())

    def test_the_values_of_an_env_file_are_kept_nowhere(self):
        (self.tend.work / ".env").write_text(f"A_SECRET={CANARY}\n")
        self.tend.json_file("eco.json", {"name": "a", "script": "sleep", "args": "1000", "env_file": ".env"})
        self.tend.ok("start", "eco.json")
        self.tend.ok("save")
        for folder, _, files in os.walk(self.tend.home):
            for name in files:
                path = Path(folder, name)
                if stat.S_ISREG(path.lstat().st_mode):
                    self.assertNotIn(CANARY.encode(), path.read_bytes(), path)


class AsPm2(TendTest):
    """The rules that PM2's users have scripts for (and the one that they complain of, mended)."""

    def setUp(self):
        super().setUp()
        self.pm2 = self.tend.bin / "pm2"
        self.pm2.symlink_to(os.path.realpath(BIN))
        self.home = self.tend.dir / "pm2home"
        self.addCleanup(self.end)

    def end(self):
        if self.home.exists():
            self.run_pm2("kill")
            wait_for(lambda: not processes_naming(str(self.home)), what="the end of pm2's daemon")

    def run_pm2(self, *words, **env):
        return subprocess.run([self.pm2, *words], cwd=self.tend.work, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=limit(60),
                              env={**self.tend.env, "PM2_HOME": str(self.home), "PM2_DISCRETE_MODE": "1", **env})

    def seen(self):
        return variables(json.loads(self.run_pm2("jlist").stdout)[0]["pid"])

    def start(self, app, **env):
        self.tend.json_file("eco.json", {"apps": [{"name": "a", "script": "sleep", "args": "1000", **app}]})
        done = self.run_pm2("start", "eco.json", **env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_callers_variables_reach_an_app_of_a_file_without_env_only(self):
        self.start({}, V="1")
        self.run_pm2("restart", "eco.json", V="2")
        self.assertEqual(self.seen()["V"], "2")
        self.run_pm2("restart", "eco.json")
        self.assertEqual(self.seen()["V"], "2")  # as who deploys from a bare shell expects
        self.run_pm2("restart", "a", V="3")
        self.assertEqual(self.seen()["V"], "2")
        self.start({"env": {"F": "1"}}, V="4")
        self.assertEqual((self.seen()["V"], self.seen()["F"]), ("2", "1"))

    def test_an_app_finds_of_its_record_what_pm2_exports(self):
        self.start({"instances": 2})
        self.run_pm2("restart", "a")
        seen = self.seen()
        self.assertEqual({key: seen.get(key) for key in ("instances", "restart_time", "status", "instance_var", "autorestart", "watch")},
                         {"instances": "2", "restart_time": "1", "status": "launching", "instance_var": "NODE_APP_INSTANCE",
                          "autorestart": "true", "watch": "false"})

    def test_update_env_lets_the_caller_win_over_the_file(self):
        self.start({"env": {"F": "file", "G": "file"}}, V="1")
        self.run_pm2("restart", "a", F="caller", V="2")
        self.assertEqual((self.seen()["F"], self.seen()["V"]), ("file", "1"))
        self.run_pm2("restart", "a", "--update-env", F="caller", V="2")
        self.assertEqual((self.seen()["F"], self.seen()["G"], self.seen()["V"]), ("caller", "file", "2"))

    def test_without_pmx_a_rejection_is_nodes_own(self):
        self.need("node")
        self.tend.script("rejects.js", "setTimeout(() => Promise.reject(new Error('x')), 50);\nsetInterval(() => {}, 1000);\n")
        self.run_pm2("start", "rejects.js", "--no-pmx", "--no-autorestart")
        wait_for(lambda: json.loads(self.run_pm2("jlist").stdout)[0]["pm2_env"]["status"] == "stopped", what="its end")
        self.assertEqual(json.loads(self.run_pm2("jlist").stdout)[0]["pm2_env"]["exit_code"], 1)

    def test_a_node_app_tells_its_version_and_metrics_unless_it_has_no_pmx(self):
        self.need("node")
        self.tend.script("idle.js", "setInterval(() => {}, 1000);\n")
        self.run_pm2("start", "idle.js", "--name", "told")
        self.run_pm2("start", "idle.js", "--name", "plain", "--no-pmx", "-f")
        records = lambda: {r["name"]: r["pm2_env"] for r in json.loads(self.run_pm2("jlist").stdout)}
        wait_for(lambda: records()["told"]["axm_monitor"], what="metrics")
        told = records()["told"]
        self.assertEqual(told["node_version"], subprocess.check_output(["node", "-p", "process.versions.node"], text=True).strip())
        self.assertEqual(set(told["axm_monitor"]), {"Used Heap Size", "Heap Usage", "Heap Size", "Event Loop Latency p95",
                                                    "Event Loop Latency", "Active handles", "Active requests"})
        self.assertEqual(records()["plain"]["axm_monitor"], {})

    def test_a_rejection_that_nobody_handles_ends_nothing(self):
        self.need("node")
        for mode in ("fork", "cluster"):
            name = f"rejects-{mode}"
            self.tend.script("rejects.js", "console.log(process.env.TEND_AS_PM2);\n"
                                           "setTimeout(() => Promise.reject(new Error('nobody cares')), 100);\nsetInterval(() => {}, 1000);\n")
            done = self.run_pm2("start", "rejects.js", "--name", name, *(["-i", "1"] if mode == "cluster" else []))
            self.assertEqual(done.returncode, 0, done.stderr)
            log = self.home / "logs" / f"{name}-error{'-1' if mode == 'cluster' else ''}.log"
            wait_for(lambda: log.exists() and "Error: nobody cares\n    at " in log.read_text(), what="the rejection in the log")
            self.assertEqual((self.home / "logs" / log.name.replace("error", "out")).read_text(), "undefined\n")
            pid = json.loads(self.run_pm2("jlist").stdout)[-1]["pid"]
            self.assertEqual(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(), f"node {self.tend.work}/rejects.js")
        self.assertEqual([(r["pm2_env"]["status"], r["pm2_env"]["restart_time"]) for r in json.loads(self.run_pm2("jlist").stdout)],
                         [("online", 0)] * 2)

    def test_a_variable_that_left_the_file_left_the_app(self):
        self.start({"env": {"KEPT": "1", "GONE": "1"}})
        self.start({"env": {"KEPT": "2"}})
        self.assertEqual(self.seen()["KEPT"], "2")
        self.assertNotIn("GONE", self.seen())

    def test_jlist_shows_secrets_unless_told_otherwise(self):
        self.start({"env": {"API_TOKEN": CANARY}})
        self.assertIn(CANARY, self.run_pm2("jlist").stdout)
        self.assertIn(f"API_TOKEN: {CANARY}", self.run_pm2("env", "0").stdout)
        self.assertNotIn(CANARY, self.run_pm2("jlist", TEND_MASK="1").stdout)
        (self.home / "module_conf.json").write_text('{"pm2": {"mask_secrets": "true"}}')
        for words in (("jlist",), ("env", "0"), ("prettylist",)):
            self.assertNotIn(CANARY, self.run_pm2(*words).stdout)
        self.assertIn(CANARY, self.run_pm2("jlist", TEND_MASK="0").stdout)

    def test_env_has_one_line_for_each_value_and_none_of_the_managers_own(self):
        self.start({"env": {"A": "b", "N": 3}}, V="1")
        lines = self.run_pm2("env", "0").stdout.splitlines()
        for line in ("A: b", "N: 3", "V: 1", "namespace: default", "NODE_APP_INSTANCE: 0"):
            self.assertIn(line, lines)
        keys = {line.split(": ")[0] for line in lines}
        self.assertFalse(keys & {"name", "status", "pm_id", "exec_mode", "restart_time", "args", "pm_cwd"})
        done = self.run_pm2("env", "9")
        self.assertEqual((done.returncode, done.stderr), (1, "[PM2][ERROR] Modules with id 9 not found\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
