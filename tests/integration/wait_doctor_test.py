"""wait, doctor, update: what scripts and people ask of a daemon beside its apps."""

import json
import os
import subprocess
import threading
import time
import unittest
from pathlib import Path

from harness import BIN, TendTest, limit, wait_for


class Wait(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")

    def begin(self, *words):
        child = self.tend.popen("wait", *words)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child

    def asked(self, child):
        """The command sleeps on the daemon's answer: its request was sent."""
        wait_for(lambda: "poll" in Path(f"/proc/{child.pid}/wchan").read_text() or child.poll() is not None, what="a request")
        time.sleep(0.05)
        self.assertIsNone(child.poll())

    def test_what_is_so_already_is_answered_at_once(self):
        for state in ("online", "ready", "healthy"):
            self.assertEqual(self.tend.ok("wait", "app", "--for", state, "--timeout", "10s").stdout, f"app (0) {state}\n")
        self.tend.ok("stop", "app")
        self.assertEqual(self.tend.ok("wait", "app", "--for", "stopped").stdout, "app (0) stopped\n")

    def test_a_change_is_told_when_it_comes(self):
        for state, verb in (("stopped", "stop"), ("online", "start"), ("stopped", "delete")):
            child = self.begin("app", "--for", state, "--timeout", "20s")
            self.asked(child)
            self.tend.ok(verb, "app")
            self.assertEqual(child.wait(limit(5)), 0, verb)

    def test_a_change_between_look_and_listen_is_not_lost(self):
        # Stops and starts at full speed beside waits: none may hang.
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                self.tend.run("restart", "app")

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(40):
                self.assertEqual(self.tend.run("wait", "app", "--for", "online", "--timeout", "5s").returncode, 0)
        finally:
            stop.set()
            thread.join()

    def test_the_end_of_the_time_is_3_and_says_what_is(self):
        began = time.monotonic()
        done = self.tend.run("wait", "app", "--for", "stopped", "--timeout", "300ms")
        self.assertEqual((done.returncode, done.stderr), (3, "tend: wait: app (0): online, not stopped within 300ms\n"))
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_what_is_not_there_or_cannot_come_is_1_at_once(self):
        self.assertEqual(self.tend.run("wait", "ghost", "--timeout", "30s").returncode, 1)
        self.tend.script("dies.sh", "#!/bin/sh\nexit 1\n")
        self.tend.run("start", "dies.sh", "--name", "dies", "--max-restarts", "1")
        self.tend.wait_status("dies", "errored")  # it is online for a moment
        done = self.tend.run("wait", "dies", "--for", "online", "--timeout", "30s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("errored", done.stderr)

    def test_wrong_words_are_2_and_no_daemon_is_3(self):
        self.assertEqual(self.tend.run("wait", "app", "--for", "fun").returncode, 2)
        self.assertEqual(self.tend.run("wait").returncode, 2)
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.assertEqual(self.tend.run("wait", "app").returncode, 3)
        self.assertEqual(self.tend.run("wait", "app", "--for", "stopped").returncode, 0)

    def test_a_wait_goes_on_with_the_supervisors_successor(self):
        child = self.begin("app", "--for", "stopped", "--timeout", "20s")
        self.asked(child)
        self.tend.ok("update")
        self.tend.supervisor_may_die = True
        self.assertIsNone(child.poll())
        self.tend.ok("stop", "app")
        self.assertEqual(child.wait(limit(5)), 0)

    def test_ready_waits_for_the_word_of_the_app(self):
        self.need("python3")
        self.tend.script("late.py", "import os, socket, time\n"
                         "while not os.path.exists('go'): time.sleep(0.02)\n"
                         "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                         "a = os.environ['NOTIFY_SOCKET']\n"
                         "s.sendto(b'READY=1', '\\0' + a[1:] if a[0] == '@' else a)\n"
                         "time.sleep(1000)\n")
        self.tend.ok("start", "late.py", "--name", "late", "--wait-ready", "--listen-timeout", "30s", "--no-wait")
        child = self.begin("late", "--for", "ready", "--timeout", "20s", "--json")
        self.asked(child)
        (self.tend.work / "go").touch()
        self.assertEqual(child.wait(limit(10)), 0)
        self.assertEqual([a["ok"] for a in json.loads(child.stdout.read())["apps"]], [True])


class Update(TendTest):
    def test_update_replaces_the_supervisor_and_touches_no_app(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        pid, (supervisor, keeper) = self.tend.app("app")["pid"], self.tend.pids()
        self.tend.ok("stop", "app")
        self.tend.ok("start", "app")
        record = self.tend.app("app")
        done = self.tend.ok("update")
        self.tend.supervisor_may_die = True
        self.assertIn("no app was touched", done.stdout)
        self.assertNotEqual(self.tend.pids()[0], supervisor)
        self.assertEqual(self.tend.pids()[1], keeper)
        self.assertEqual(self.tend.app("app")["pid"], record["pid"])
        self.assertNotEqual(pid, record["pid"])

    def test_without_a_daemon_update_starts_none(self):
        self.tend.ok("update")
        self.assertFalse((self.tend.home / "tend.sock").exists())

    def test_as_pm2_the_last_line_before_the_list_is_the_one_that_scripts_look_for(self):
        pm2 = self.tend.dir / "pm2"
        pm2.symlink_to(BIN)
        env = {**self.tend.env, "PM2_HOME": str(self.tend.dir / "pm2-home")}

        def run(*words):
            return subprocess.run([str(pm2), *words], env=env, cwd=self.tend.work, text=True, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=limit(30), check=False)

        self.tend.sleeper()
        self.addCleanup(run, "kill")
        run("start", "sleeper.sh")
        pid = run("pid", "sleeper").stdout
        for word in ("update", "updatePM2"):
            done = run(word)
            lines = done.stdout.splitlines()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("before doing this procedure.", lines[0])
            self.assertEqual(lines[1], ">>>>>>>>>> PM2 updated")
            self.assertTrue(lines[2].startswith("┌"))
            self.assertEqual(run("pid", "sleeper").stdout, pid)
        self.assertEqual(run("deepUpdate").returncode, 1)
        self.assertEqual(len(run("deepUpdate").stderr.splitlines()), 1)


class Doctor(TendTest):
    def findings(self, env=None):
        done = self.tend.run("doctor", "--json", env=env)
        report = json.loads(done.stdout)
        self.assertEqual(report["ok"], done.returncode == 0)
        self.assertEqual(report["ok"], all(c["verdict"] != "fail" for c in report["checks"]))
        for check in report["checks"]:
            self.assertEqual(check["fix"] == "", check["verdict"] == "ok", check)
        return report["checks"]

    def one(self, name, env=None):
        return [c for c in self.findings(env) if c["check"] == name]

    def test_a_home_that_is_not_there_yet_is_no_fault_and_is_not_made(self):
        self.assertEqual(self.one("home")[0]["verdict"], "ok")
        self.assertFalse(self.tend.home.exists())

    def test_a_home_that_others_may_write_fails_and_one_that_they_may_read_warns(self):
        self.tend.ok("ping")
        for bits, verdict in ((0o777, "fail"), (0o755, "warn"), (0o700, "ok")):
            self.tend.home.chmod(bits)
            self.assertEqual(self.one("home")[0]["verdict"], verdict)

    def test_an_interpreter_that_went_away_is_named_with_its_app(self):
        node = self.tend.dir / "nvm" / "v18" / "bin" / "node"
        node.parent.mkdir(parents=True)
        node.symlink_to("/bin/sh")
        self.tend.script("app.js", "exec sleep 1000\n")
        self.tend.ok("start", "app.js", "--name", "old", "--interpreter", node, "--heartbeat", "off")
        self.tend.ok("save")
        self.assertEqual([c["verdict"] for c in self.one("apps")], ["ok"])
        node.unlink()
        lost = self.one("apps")
        self.assertEqual([c["verdict"] for c in lost], ["fail"])
        self.assertIn(f"its interpreter {node} is gone", lost[0]["text"])
        self.assertIn("old", lost[0]["text"])
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.assertIn("old (saved)", self.one("apps")[0]["text"])

    def test_apps_that_are_not_saved_are_named(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "fresh")
        self.assertIn("fresh is not in it", self.one("saved list")[0]["text"])
        self.tend.ok("save")
        self.assertEqual(self.one("saved list"), [])

    def test_a_broken_saved_list_fails(self):
        self.tend.home.mkdir()
        self.tend.home.chmod(0o700)
        (self.tend.home / "dump.json").write_text("{")
        self.assertEqual(self.one("saved list")[0]["verdict"], "fail")

    def test_a_living_pm2_beside_is_named(self):
        import socket
        home = self.tend.dir / "user"
        (home / ".pm2").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home / ".pm2" / "rpc.sock"))
            listener.listen()
            found = self.one("pm2", {"HOME": str(home)})
        self.assertIn("import pm2 --live", found[0]["fix"])

    def test_48_the_unit_of_this_home_is_judged(self):
        home = self.tend.dir / "user"
        home.mkdir()
        env = {"HOME": str(home), "USER": "nobody-here"}
        self.assertEqual(self.one("boot", env)[0]["verdict"], "warn")
        text = self.tend.ok("startup", "--systemd-user", "--print", env=env).stdout
        units = home / ".config/systemd/user"
        units.mkdir(parents=True)
        unit = units / "tend-x.service"
        unit.write_text(text)
        self.assertTrue(any("is not enabled" in c["text"] and c["verdict"] == "fail" for c in self.one("boot", env)))
        (units / "default.target.wants").mkdir()
        (units / "default.target.wants" / "tend-x.service").symlink_to(unit)
        self.assertFalse(any("enabled" in c["text"] and c["verdict"] == "fail" for c in self.one("boot", env)))
        unit.write_text(text.replace("KillMode=process\n", ""))
        self.assertTrue(any("KillMode=control-group" in c["text"] for c in self.one("boot", env)))
        unit.write_text(text.replace(os.path.realpath(BIN), "/nowhere/tend"))
        self.assertTrue(any("/nowhere/tend, which is gone" in c["text"] and c["verdict"] == "fail" for c in self.one("boot", env)))

    def test_people_get_a_line_for_each_and_what_to_type(self):
        done = self.tend.run("doctor")
        self.assertTrue(all(line.split()[0] in ("ok", "warn", "fail", "→") for line in done.stdout.splitlines()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
