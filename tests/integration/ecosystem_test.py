"""Files of apps: the forms that real files have, and what a wrong one does (nothing)."""

import json
import os
import shutil
import subprocess
import unittest

from harness import ROOT, TendTest

FIXTURES = ROOT / "tests/fixtures/ecosystem"
# Facts of a record that do not hang on the moment of looking.
STABLE = ("name", "namespace", "exec_mode", "instances", "script", "args", "node_args", "cwd", "out", "err",
          "version", "autorestart", "autostart", "max_memory_restart", "min_uptime", "max_restarts", "restart_delay",
          "exp_backoff_restart_delay", "kill_timeout", "listen_timeout", "cron_restart", "stop_exit_codes")


class Ecosystem(TendTest):
    def names(self):
        return sorted(r["name"] for r in self.tend.jlist())

    def test_json_with_comments_and_trailing_commas(self):
        self.tend.script("e.json", "{ // the apps\n apps: [{ name: 'a', script: 'sleep', args: ['1000'], }, ], }\n")
        self.tend.ok("start", "e.json")
        self.assertEqual(self.names(), ["a"])

    def test_javascript_is_evaluated_by_node(self):
        self.need("node")
        self.tend.script("ecosystem.config.js", "const n = ['a', 'b'];\nmodule.exports = { apps: n.map(name => "
                         "({ name, script: 'sleep', args: '1000', env: { WHO: name } })) };\n")
        self.tend.ok("start", "ecosystem.config.js")
        self.assertEqual(self.names(), ["a", "b"])
        self.assertIn(b"WHO=a\0", open(f"/proc/{self.tend.app('a')['pid']}/environ", "rb").read())

    def test_start_without_a_word_reads_ecosystem_config_js(self):
        self.need("node")
        self.tend.script("ecosystem.config.js", "module.exports = { name: 'solo', script: 'sleep', args: '1000' };\n")
        self.tend.ok("start")
        self.assertEqual(self.names(), ["solo"])

    def test_yaml(self):
        self.tend.script("apps.yml", "apps:\n  - name: y\n    script: sleep\n    args: 1000\n    restart_delay: 2s\n")
        self.tend.ok("start", "apps.yml")
        self.assertEqual(self.tend.app("y")["pm2_env"]["restart_delay"], 2000)

    def test_standard_input(self):
        self.tend.ok("start", "-", stdin='{"name": "piped", "script": "sleep", "args": "1000"}')
        self.assertEqual(self.names(), ["piped"])

    def test_one_error_in_a_file_starts_nothing_and_names_file_app_field_and_value(self):
        path = self.tend.json_file("e.json", {"apps": [
            {"name": "good", "script": "sleep", "args": "1000"},
            {"name": "bad", "script": "sleep", "kill_timeout": "soon"}]})
        done = self.tend.run("start", path)
        self.assertEqual(done.returncode, 1)
        for word in ("e.json", "bad", "kill_timeout", "soon"):
            self.assertIn(word, done.stderr)
        self.assertEqual(self.tend.jlist(), [])

    def test_a_missing_script_starts_nothing(self):
        path = self.tend.json_file("e.json", {"apps": [{"name": "good", "script": "sleep", "args": "1000"},
                                                       {"name": "bad", "script": "./nowhere.js"}]})
        done = self.tend.run("start", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere.js", done.stderr)
        self.assertEqual(self.tend.jlist(), [])

    def test_broken_syntax_is_told_with_its_place(self):
        self.tend.script("e.json", '{"apps": [\n {"name": }\n]}')
        done = self.tend.run("start", "e.json")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"e\.json.*2")

    def test_an_unknown_field_is_a_warning_with_the_nearest_name(self):
        path = self.tend.json_file("e.json", {"name": "a", "script": "sleep", "args": "1000", "max_restart": 3})
        done = self.tend.ok("start", path)
        self.assertRegex(done.stderr, r"max_restart\b.*max_restarts")
        self.assertEqual(self.names(), ["a"])

    def test_check_starts_nothing_and_prints_the_resolved_apps(self):
        path = self.tend.json_file("e.json", {"apps": [{"script": "sleep", "args": "1000", "kill_timeout": "3s"}]})
        out = self.tend.ok("check", path, "--json").stdout
        found = json.loads(out)
        self.assertIn("kill_timeout", json.dumps(found))
        self.assertIn(shutil.which("sleep", path=self.tend.env["PATH"]), json.dumps(found))
        self.tend.ok("check", path)
        self.assertEqual(self.tend.jlist(), [])

    def test_check_of_a_wrong_file_exits_1(self):
        path = self.tend.json_file("e.json", {"script": "sleep", "autorestart": "maybe"})
        done = self.tend.run("check", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("autorestart", done.stderr)

    def test_only_starts_the_named(self):
        apps = [{"name": n, "script": "sleep", "args": "1000"} for n in "abc"]
        path = self.tend.json_file("e.json", {"apps": apps})
        self.tend.ok("start", path, "--only", "a,c")
        self.assertEqual(self.names(), ["a", "c"])

    def test_env_lays_the_named_environment_over_the_plain_one(self):
        path = self.tend.json_file("e.json", {"name": "a", "script": "sleep", "args": "1000",
                                              "env": {"A": "plain", "B": "kept", "N": 7},
                                              "env_production": {"A": "prod"}})
        self.tend.ok("start", path, "--env", "production")
        environment = open(f"/proc/{self.tend.app('a')['pid']}/environ", "rb").read().split(b"\0")
        for entry in (b"A=prod", b"B=kept", b"N=7"):
            self.assertIn(entry, environment)

    def test_starting_a_file_again_restarts_what_runs_and_starts_what_is_missing(self):
        apps = [{"name": n, "script": "sleep", "args": "1000"} for n in "ab"]
        path = self.tend.json_file("e.json", {"apps": apps})
        self.tend.ok("start", path, "--only", "a")
        before = self.tend.app("a")["pid"]
        self.tend.ok("start", path)
        self.assertEqual(self.names(), ["a", "b"])
        self.assertNotEqual(self.tend.app("a")["pid"], before)
        self.assertEqual(self.tend.app("a")["pm2_env"]["restart_time"], 1)

    def test_a_restart_by_file_applies_its_settings(self):
        self.tend.json_file("e.json", {"name": "a", "script": "sleep", "args": "1000", "max_restarts": 3})
        self.tend.ok("start", "e.json")
        self.tend.json_file("e.json", {"name": "a", "script": "sleep", "args": "1000", "max_restarts": 4})
        self.tend.ok("restart", "e.json")
        self.assertEqual(self.tend.app("a")["pm2_env"]["max_restarts"], 4)

    def test_standard_input_takes_yaml_and_javascripts_notation_and_every_verb(self):
        yaml = "apps:\n  - name: y\n    script: sleep\n    args: 1000\n"
        self.tend.ok("start", "-", stdin=yaml)
        before = self.tend.app("y")["pid"]
        self.tend.ok("restart", "-", stdin="{apps: [{name: 'y', script: 'sleep', args: '1000'}]}")
        self.assertNotEqual(self.tend.app("y")["pid"], before)
        self.tend.ok("stop", "-", stdin=yaml)
        self.assertEqual(self.tend.status("y"), "stopped")
        self.tend.ok("delete", "-", stdin=yaml)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.tend.run("start", "-", stdin="{apps: [").returncode, 1)

    def test_a_procfile_runs_each_line_in_the_shell_with_a_port_of_its_own(self):
        self.tend.script("site/Procfile", "web: echo $PORT $GREETING > $PORT.txt; exec sleep 1000\n"
                                          "worker: sleep $LONG\n")
        self.tend.script("site/.env", "GREETING=hello\nLONG=1000\n")
        self.tend.ok("start", "site/Procfile", env={"PORT": "6000"})
        self.assertEqual(self.names(), ["web", "worker"])
        self.tend.wait_text("site/6000.txt", "6000 hello")
        self.tend.ok("scale", "web", "2")
        self.tend.wait_text("site/6001.txt", "6001 hello")
        self.assertEqual(self.tend.run("diff", "site/Procfile", "--only", "worker", env={"PORT": "6000"}).returncode, 0)
        self.tend.ok("delete", "site/Procfile")
        self.assertEqual(self.names(), [])

    def test_package_json_may_hold_the_apps(self):
        app = {"name": "p", "script": "sleep", "args": "1000"}
        for field in ("apps", "pm2"):
            self.tend.json_file("package.json", {"name": "pkg", "version": "1.0.0", "scripts": {}, field: [app]})
            self.assertEqual(self.tend.ok("start", "package.json").stderr, "")
            self.assertEqual(self.names(), ["p"])
        self.tend.json_file("package.json", {"name": "pkg", "version": "1.0.0", "scripts": {"start": "node ."}})
        done = self.tend.run("start", "package.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("npm -- start", done.stderr)

    def test_init_writes_a_file_that_starts_and_replaces_none(self):
        self.need("node")
        for name in ("index.js", "worker.js", "app.js"):
            self.tend.script(name, "setInterval(() => {}, 1000)\n")
        self.tend.ok("init")
        self.tend.ok("start")
        self.assertEqual(self.names(), ["web", "worker"])
        self.assertEqual(self.tend.run("init", "simple").returncode, 1)
        self.tend.ok("init", "simple", "--force")
        self.tend.ok("apply", "ecosystem.config.js", "--prune")
        self.assertEqual(self.names(), ["app1"])

    def test_a_schema_is_printed(self):
        schema = json.loads(self.tend.ok("schema").stdout)
        self.assertIn("exec_mode", schema["$defs"]["app"]["properties"])

    def test_the_page_of_files_has_no_fault(self):
        self.need("mandoc")
        page = ROOT / "man/tend-ecosystem.5"
        done = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True)
        faults = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
        self.assertEqual(faults, [])
        self.assertEqual(self.tend.ok("generate", "man", "ecosystem").stdout, page.read_text())


class Fixtures(TendTest):
    """The forms of ten recorded files; expected.json is what PM2 made of them."""

    def setUp(self):
        if not (FIXTURES / "expected.json").exists():
            self.skipTest(f"no {FIXTURES.relative_to(ROOT)}/expected.json")
        for program in ("node", "npm", "bash"):
            self.need(program)
        super().setUp()
        self.folder = self.tend.work / "ecosystem-fixtures"
        shutil.copytree(FIXTURES, self.folder, symlinks=True)
        self.expected = json.loads((FIXTURES / "expected.json").read_text())

    def relative(self, path, number):
        if not isinstance(path, str):
            return path
        for base, word in ((str(self.tend.home), "$PM2_HOME"), (str(self.folder) + "/", "./")):
            if path.startswith(base):
                path = word + path[len(base):]
        path = "./" if path == str(self.folder) else path
        for end in (".log", ".pid"):
            if path.endswith(f"-{number}{end}"):
                path = path[:-len(f"{number}{end}")] + "<pm_id>" + end
        return path

    def seen(self, record):
        env = record["pm2_env"]
        script = env["pm_exec_path"]
        script = self.relative(script, None) if script.startswith(str(self.folder)) else f"<abs>/{os.path.basename(script)}"
        facts = {**env, "name": record["name"], "script": script, "cwd": self.relative(env["pm_cwd"], None),
                 "out": self.relative(env["pm_out_log_path"], record["pm_id"]),
                 "err": self.relative(env["pm_err_log_path"], record["pm_id"])}
        return {key: facts.get(key) for key in STABLE}

    def test_each_recorded_file_makes_the_recorded_apps(self):
        def order(one):
            return json.dumps([one["name"], one["script"], one["args"], one["out"]])
        for name, record in self.expected.items():
            if name.startswith("rejects/"):
                continue
            with self.subTest(file=name):
                done = self.tend.run(*record["start"], cwd=self.folder)
                # A file that asks for readiness which never comes is refused by tend, accepted by PM2.
                if done.returncode != 0:
                    self.assertRegex(done.stdout + done.stderr, r"(?i)ready")
                found = [self.seen(r) for r in self.tend.jlist()]
                # PM2 leaves out what it was not given; absent says nothing.
                wanted = [{key: one.get(key) for key in STABLE} for one in record["processes"]]
                found, wanted = sorted(found, key=order), sorted(wanted, key=order)
                self.assertEqual([f["name"] for f in found], [w["name"] for w in wanted])
                for one, other in zip(found, wanted):
                    for key in STABLE:
                        if other[key] is not None:
                            self.assertEqual(one[key], other[key], f"{name}: {other['name']}: {key}")
                self.tend.run("delete", "all")

    def test_what_pm2_rejects_tend_rejects_or_understands(self):
        # tend reads units, default exports and "true"; everything else that PM2 refuses starts nothing here either.
        understood = {"rejects/memory-unit.config.js", "rejects/time-unit.config.js",
                      "rejects/default-only.config.mjs", "rejects/number-name.yml",
                      "rejects/string-bool.config.js"}
        for name in self.expected:
            if name.startswith("rejects/") and name not in understood:
                with self.subTest(file=name):
                    done = self.tend.run("start", name, cwd=self.folder)
                    self.assertEqual(done.returncode, 1)
                    self.assertEqual(self.tend.jlist(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
