"""import pm2 and export pm2 against the real PM2, both ways; and its saved list under the name pm2."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from harness import BIN, ROOT, TendTest, alive, limit, processes_naming, wait_for

sys.path.insert(0, str(ROOT / "tests" / "bench"))
from managers import install_pm2  # noqa: E402

FOLDER = os.environ.get("TEND_PM2_FOLDER", "/tmp/tend-bench-pm2")


class WithPm2(TendTest):
    @classmethod
    def setUpClass(cls):
        # An unreachable registry is known within the test's time.
        os.environ.update(npm_config_fetch_retries="0", npm_config_fetch_timeout="20000")
        try:
            cls.program = str(install_pm2(FOLDER))
        except (OSError, subprocess.SubprocessError) as error:
            raise unittest.SkipTest(f"no PM2 from the registry: {error}") from None

    def setUp(self):
        super().setUp()
        self.pm2_home = self.tend.dir / "pm2-home"
        self.addCleanup(self.end_pm2)
        self.link = self.tend.dir / "pm2"
        self.link.symlink_to(BIN)
        self.tend.script("app.sh", "#!/bin/bash\necho started $1 $TASTE\nexec sleep 1000\n")
        self.tend.script("serve.js", "require('http').createServer((q, r) => r.end('x')).listen(0)\n")
        self.file = self.tend.json_file("eco.json", {"apps": [
            {"name": "plain", "script": "app.sh", "args": ["one", "two words"], "env": {"TASTE": "salt", "N": 5},
             "max_memory_restart": "100M", "kill_timeout": 3000},
            {"name": "many", "script": "serve.js", "exec_mode": "cluster", "instances": 2, "node_args": "--max-old-space-size=90"},
            {"name": "rests", "script": "app.sh", "namespace": "other"}]})

    def environment(self):
        return {**self.tend.env, "PM2_HOME": str(self.pm2_home), "PM2_DISCRETE_MODE": "1"}

    def run_program(self, program, *words):
        return subprocess.run([str(program), *map(str, words)], env=self.environment(), cwd=self.tend.work, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=limit(60), check=False)

    def real(self, *words):
        done = self.run_program(self.program, *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def as_pm2(self, *words):
        return self.run_program(self.link, *words)

    def end_pm2(self):
        if (self.pm2_home / "rpc.sock").exists():
            self.run_program(self.program, "kill")
        self.as_pm2("kill")

    def start_three(self):
        self.real("start", self.file)
        self.real("stop", "rests")

    def shape(self, records):
        return sorted((r["name"], r["pm2_env"]["status"], r["pm2_env"]["exec_mode"], r["pm2_env"]["namespace"],
                       tuple(r["pm2_env"].get("args", [])), tuple(r["pm2_env"]["node_args"]), r["pm2_env"]["NODE_APP_INSTANCE"],
                       r["pm2_env"]["pm_exec_path"], r["pm2_env"]["pm_cwd"], r["pm2_env"]["exec_interpreter"],
                       r["pm2_env"].get("max_memory_restart"), r["pm2_env"].get("kill_timeout")) for r in records)

    def check_three(self, shape, records):
        self.assertEqual(self.shape(records), shape)
        plain = [r for r in records if r["name"] == "plain"][0]
        environment = Path(f"/proc/{plain['pid']}/environ").read_bytes().split(b"\0")
        self.assertIn(b"TASTE=salt", environment)
        self.assertIn(b"N=5", environment)

    def jlist(self, text):
        return json.loads(text)


class Saved(WithPm2):
    def test_what_pm2_saved_comes_up_under_the_name_pm2_and_goes_back(self):
        self.start_three()
        self.real("save")
        shape = self.shape(self.jlist(self.real("jlist")))
        self.real("kill")
        done = self.as_pm2("resurrect")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"[PM2] Restoring processes located in {self.pm2_home}/dump.pm2\n", done.stdout)
        self.assertIn(f"[PM2] Process {self.tend.work}/app.sh restored\n", done.stdout)
        self.check_three(shape, self.jlist(self.as_pm2("jlist").stdout))
        file = self.pm2_home / "pm2.pid"  # written by the pool, a moment after the first answer
        wait_for(lambda: file.exists() and file.read_text(), 5, "pm2.pid")
        self.assertTrue(alive(int(file.read_text())))

        self.as_pm2("save")
        self.as_pm2("kill")
        self.assertFalse((self.pm2_home / "pm2.pid").exists())
        self.real("resurrect")
        records = self.jlist(self.real("jlist"))
        wait_for(lambda: len(self.jlist(self.real("jlist"))) == 4, 10, "four processes")
        self.check_three(shape, self.jlist(self.real("jlist")) or records)
        self.assertEqual({r["pm2_env"]["restart_time"] for r in records}, {0})

    def test_import_reads_the_saved_list_and_starts_nothing_twice(self):
        self.start_three()
        self.real("save")
        shape = self.shape(self.jlist(self.real("jlist")))
        done = self.tend.run("import", "pm2", "--home", self.pm2_home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--live", done.stderr)
        self.real("kill")
        self.tend.ok("import", "pm2", "--home", self.pm2_home)
        self.check_three(shape, self.tend.jlist())
        for record in self.tend.jlist():
            self.assertTrue(record["pm2_env"]["pm_out_log_path"].startswith(str(self.tend.home)))
        again = self.tend.run("import", "pm2", "--home", self.pm2_home)
        self.assertEqual(again.returncode, 1)
        self.assertEqual(len(self.tend.jlist()), 4)
        self.assertIn("started one salt", self.tend.wait_text(self.tend.out_log("plain"), "started"))


class Live(WithPm2):
    def test_apps_move_one_by_one_from_the_running_pm2_which_ends_empty(self):
        self.start_three()
        shape = self.shape(self.jlist(self.real("jlist")))
        done = self.tend.ok("import", "pm2", "--home", self.pm2_home, "--live")
        self.assertRegex(done.stdout, r"(?m)^plain moved, gap \d+ ms$")
        self.assertRegex(done.stdout, r"(?m)^many moved, 2 instances, gap \d+ ms$")
        self.assertRegex(done.stdout, r"(?m)^rests moved, stopped$")
        self.check_three(shape, self.tend.jlist())
        self.assertEqual(self.jlist(self.real("jlist")), [])
        self.assertEqual(len([p for p in processes_naming(str(self.tend.work)) if "sleep 1000" in p[1]]), 1)
        self.tend.ok("import", "pm2", "--home", self.pm2_home, "--live", "--kill")
        wait_for(lambda: not (self.pm2_home / "rpc.sock").exists(), what="the end of PM2's socket")

    def test_what_does_not_start_here_goes_on_in_pm2(self):
        self.start_three()
        self.tend.script("stays.js", "if (process.env.TEND_ID) process.exit(1)\nprocess.send('ready')\nsetInterval(() => {}, 1000)\n")
        self.real("start", "stays.js", "--wait-ready", "--listen-timeout", "2000")
        done = self.tend.run("import", "pm2", "--home", self.pm2_home, "--live", "--kill")
        self.assertEqual(done.returncode, 1)
        self.assertIn("stays in PM2", done.stderr)
        self.assertIn("PM2 is not ended: it still has apps", done.stderr)
        self.assertEqual(sorted({r["name"] for r in self.tend.jlist()}), ["many", "plain", "rests"])
        self.assertEqual({r["name"]: r["pm2_env"]["status"] for r in self.jlist(self.real("jlist"))}, {"stays": "online"})

    def test_a_name_that_is_here_already_is_left_where_it_is(self):
        self.start_three()
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "plain")
        pid = self.tend.app("plain")["pid"]
        done = self.tend.run("import", "pm2", "--home", self.pm2_home, "--live", "--kill")
        self.assertEqual(done.returncode, 1)
        self.assertIn("plain: an app of this name is here already", done.stderr)
        self.assertEqual(self.tend.app("plain")["pid"], pid)
        self.assertEqual({r["name"]: r["pm2_env"]["status"] for r in self.jlist(self.real("jlist"))}, {"plain": "online"})

    def test_in_its_own_home_pm2_is_not_started_beside_and_moves_in_place(self):
        self.start_three()
        shape = self.shape(self.jlist(self.real("jlist")))
        done = self.as_pm2("start", "app.sh", "--name", "more")
        self.assertEqual(done.returncode, 1)
        self.assertIn("import pm2 --live", done.stderr)
        done = self.as_pm2("import", "pm2", "--live", "--kill")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_three(shape, self.jlist(self.as_pm2("jlist").stdout))
        self.assertTrue(alive(int((self.pm2_home / "pm2.pid").read_text())))

    def test_without_a_running_pm2_live_is_3(self):
        self.assertEqual(self.tend.run("import", "pm2", "--home", self.pm2_home, "--live").returncode, 3)
        self.assertEqual(self.tend.run("import", "supervisord").returncode, 2)


class Export(WithPm2):
    def test_export_counts_the_instances_that_are_there(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "-i", "2")
        self.tend.ok("start", "sleeper.sh", "--name", "other", "--", "word")
        self.tend.ok("scale", "sleeper", "4")
        self.assertRegex(self.tend.ok("describe", "sleeper").stdout, r"instances +│ 4 ")
        self.tend.ok("delete", "0")
        counts = {app["name"]: app["instances"] for app in json.loads(self.tend.ok("export", "pm2").stdout)["apps"]}
        self.assertEqual(counts, {"sleeper": 3, "other": 1})

    def test_pm2_takes_what_export_writes_in_both_forms(self):
        self.tend.ok("start", self.file)
        self.tend.ok("stop", "rests")
        shape = self.shape(self.tend.jlist())
        self.tend.ok("export", "pm2", "list.json")
        self.pm2_home.mkdir()
        self.tend.ok("export", "pm2", self.pm2_home / "dump.pm2")
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.real("resurrect")
        wait_for(lambda: len(self.jlist(self.real("jlist"))) == 4, 10, "four processes")
        self.check_three(shape, self.jlist(self.real("jlist")))
        self.real("delete", "all")
        self.real("start", "list.json")
        self.real("stop", "rests")
        self.check_three(shape, self.jlist(self.real("jlist")))

    def test_other_files_are_refused(self):
        self.tend.ok("ping")
        done = self.tend.run("export", "pm2", "list.txt")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1))


class WithoutPm2(TendTest):
    def test_an_app_that_is_too_large_for_one_message_comes_whole(self):
        home = self.tend.dir / "other"
        home.mkdir()
        env = {f"VARIABLE_{n}": "x" for n in range(300)}
        (home / "dump.pm2").write_text(json.dumps([
            {"name": "many", "pm_exec_path": "/bin/sleep", "pm_cwd": "/", "exec_interpreter": "none", "exec_mode": "fork_mode",
             "args": ["1000"], "NODE_APP_INSTANCE": n, "status": "online" if n < 3 else "stopped", "unique_id": "u", "env": env}
            for n in range(400)]))
        self.assertEqual(self.tend.ok("import", "pm2", "--home", home).stdout.splitlines()[0], "many imported, 400 instances")
        records = self.tend.jlist()
        self.assertEqual([r["pm2_env"]["NODE_APP_INSTANCE"] for r in records], list(range(400)))
        self.assertEqual([r["pm2_env"]["status"] for r in records].count("online"), 3)

    def test_a_foreign_or_broken_list_is_refused_with_its_reason(self):
        home = self.tend.dir / "other"
        home.mkdir()
        for text, said in ((None, "dump.pm2"), ("{", "dump.pm2"), ("{}", "no list"), ('[{"name": "x"}]', "without name or pm_exec_path"),
                           ('[{"name":"x","pm_exec_path":"/bin/true","max_memory_restart":"a lot"}]', "max_memory_restart")):
            if text is not None:
                (home / "dump.pm2").write_text(text)
            done = self.tend.run("import", "pm2", "--home", home)
            self.assertEqual(done.returncode, 1, text)
            self.assertIn(said, done.stderr)
        (home / "dump.pm2.bak").write_text("[]")
        (home / "dump.pm2").write_text("{")
        self.tend.ok("import", "pm2", "--home", home)


if __name__ == "__main__":
    unittest.main(verbosity=2)
