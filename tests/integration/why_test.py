"""tend why: what ended each process, who asked for it, what it said last."""

import json
import os
import shutil
import signal
import unittest
from pathlib import Path

from harness import TendTest, alive, wait_for


class Why(TendTest):
    def ends(self, name, least=1):
        def told():
            answer = json.loads(self.tend.ok("why", name, "--json").stdout)
            found = answer["apps"][0]["ends"] if answer["apps"] else []
            return found if len(found) >= least else None
        return wait_for(told, what=f"{least} ends of {name}")

    def crasher(self, text, name="app", *words):
        self.tend.script("app.sh", "#!/bin/sh\n" + text)
        self.tend.run("start", "app.sh", "--name", name, *words)

    def test_a_crash_has_its_code_and_its_last_lines(self):
        self.crasher("echo began\necho 'no such table' >&2\nexit 7\n", "app", "--no-autorestart")
        end = self.ends("app")[0]
        self.assertEqual((end["cause"], end["code"], end["then"]), ("crash", 7, "stopped"))
        self.assertEqual(end["lines"], ["began", "no such table"])
        self.assertNotIn("signal", end)
        text = self.tend.ok("why", "app").stdout
        for word in ("exit code 7: stopped", "exited with code 7", "no such table"):
            self.assertIn(word, text)

    def test_lines_are_those_of_the_process_that_ended(self):
        self.crasher("echo run $$\nsleep 0.3\nexit 1\n", "app", "--max-restarts", "3", "--min-uptime", "1000")
        for end in self.ends("app", 3)[:3]:
            self.assertEqual(end["lines"], [f"run {end['pid']}"])

    def test_a_signal_is_no_code(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        pid = self.tend.app("app")["pid"]
        os.kill(pid, signal.SIGSEGV)
        end = self.ends("app")[0]
        self.assertEqual((end["pid"], end["signal"], end["then"]), (pid, "SIGSEGV", "restarted"))
        self.assertNotIn("code", end)
        self.assertRegex(end["text"], "^killed by SIGSEGV")
        self.assertNotIn("want of memory", end["text"])

    def test_a_command_is_named_with_its_user(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        self.tend.ok("restart", "app")
        self.tend.ok("stop", "app")
        first, second = self.ends("app", 2)
        self.assertRegex(first["text"], r"^user \S+: tend restart app$")
        self.assertEqual((first["cause"], first["then"]), ("user", "restarted"))
        self.assertRegex(second["text"], r"^user \S+: tend stop app$")
        self.assertEqual(second["then"], "stopped")

    def test_a_program_that_is_not_there_has_no_process(self):
        program = Path(shutil.copy(shutil.which("sleep"), self.tend.work / "gone"))
        self.tend.ok("start", program, "--name", "app", "--", "1000")
        program.unlink()
        self.tend.run("restart", "app")
        last = self.ends("app", 2)[-1]
        self.assertEqual(last["cause"], "spawn_failed")
        self.assertIn("No such file", last["text"])

    def test_the_memory_limit_is_a_cause(self):
        self.tend.script("grow.py", "x = bytearray(80_000_000)\nimport time\ntime.sleep(1000)\n")
        self.tend.ok("start", "grow.py", "--name", "app", "--max-memory-restart", "40M")
        end = self.ends("app")[0]
        self.assertEqual(end["cause"], "memory")
        self.assertRegex(end["text"], r"^memory \d+ > 41943040$")

    def test_a_reload_names_both_processes(self):
        self.need("node")
        self.tend.script("app.js", "require('http').createServer(() => {}).listen(0);\n")
        self.tend.ok("start", "app.js", "--name", "app", "-i", "1", "--exec-mode", "cluster")
        old = self.tend.app("app")["pid"]
        self.tend.ok("reload", "app")
        end = self.ends("app")[0]
        self.assertEqual(end["pid"], old)
        self.assertEqual(end["then"], f"replaced by process {self.tend.app('app')['pid']}")
        self.assertRegex(end["text"], "tend reload app$")

    def failed_reload_then_crash(self, *words):
        self.need("node")
        self.tend.script("app.js", """const fs = require('fs');
if (fs.existsSync('bad')) process.exit(9);
require('http').createServer(() => {}).listen(0, () => fs.writeFileSync('up', ''));
""")
        self.tend.ok("start", "app.js", "--name", "app", "-i", "1", "--exec-mode", "cluster", *words)
        wait_for((self.tend.work / "up").exists, what="the app's start")
        bad = self.tend.work / "bad"
        bad.touch()
        self.assertEqual(self.tend.run("reload", "app").returncode, 1)
        bad.unlink()
        pid = self.tend.app("app")["pid"]
        self.assertGreater(pid, 1)
        os.kill(pid, signal.SIGSEGV)
        successor, old = self.ends("app", 2)
        self.assertEqual(successor["then"], "the old process goes on")
        self.assertNotEqual(successor["pid"], pid)
        self.assertEqual((old["pid"], old["signal"], old["then"]), (pid, "SIGSEGV", "restarted"))

    def test_a_failed_reload_does_not_mix_up_the_processes(self):
        self.failed_reload_then_crash()

    def test_nor_where_no_tree_is_waited_for(self):
        self.failed_reload_then_crash("--no-treekill")

    def test_a_process_that_was_never_ready_has_its_number(self):
        self.crasher("echo run $$\nexit 3\n", "app", "--wait-ready", "--max-restarts", "2")
        for end in self.ends("app", 2):
            self.assertEqual(end["lines"], [f"run {end['pid']}"])

    def test_a_process_that_the_supervisor_took_over_has_its_number(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        pid = self.tend.app("app")["pid"]
        self.assertGreater(pid, 1)
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        wait_for(lambda: self.tend.app("app")["pid"] == pid, what="the takeover")
        os.kill(pid, signal.SIGKILL)
        end = self.ends("app")[0]
        self.assertEqual(end.get("pid"), pid)
        self.assertIn(f"process {pid} lived", self.tend.ok("why", "app").stdout)

    def test_many_at_once_lose_no_end_and_leave_no_file(self):
        # More than any one queue for all of them would hold.
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app", "-i", "300", "--exec-mode", "fork", timeout=120)
        self.tend.ok("stop", "app", timeout=120)
        def untold():
            answer = json.loads(self.tend.ok("why", "app", "--json").stdout)
            return [app["id"] for app in answer["apps"] if not app["ends"]]
        wait_for(lambda: untold() == [], what="an end of each")
        self.tend.ok("delete", "app", timeout=120)
        wait_for(lambda: not any((self.tend.home / "history").iterdir()), what="no history of the deleted")

    def test_describe_asks_for_no_ends_and_json_is_all_that_is_printed(self):
        self.crasher("exit 4\n", "app", "--no-autorestart")
        self.ends("app")
        self.assertNotIn("known ends", self.tend.ok("describe", "app").stdout)
        done = self.tend.ok("why", "app", "--json")
        self.assertEqual(list(json.loads(done.stdout)), ["apps", "missing"])
        self.assertEqual(done.stderr, "")

    def test_it_survives_a_kill_of_the_supervisor_and_not_a_delete_of_the_app(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        self.tend.ok("restart", "app")
        self.ends("app")
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.assertEqual(len(self.ends("app")), 1)
        self.tend.ok("delete", "app")
        self.tend.ok("start", "sleeper.sh", "--name", "other")
        self.assertEqual(self.tend.app("other")["pm_id"], 0)
        answer = json.loads(self.tend.ok("why", "other", "--json").stdout)
        self.assertEqual(answer["apps"][0]["ends"], [])
        self.assertIn("no process of it has ended", self.tend.ok("why", "other").stdout)

    def test_who_is_not_there_is_told_and_fails(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "app")
        done = self.tend.run("why", "nobody")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)

    def test_26_a_crash_loop_is_bounded(self):
        self.crasher("exit 1\n", "app", "--max-restarts", "200", "--min-uptime", "100ms")
        wait_for(lambda: self.tend.status("app") == "errored", 20, "the end of the loop")
        last = wait_for(lambda: (e := self.ends("app"))[-1]["then"] == "given up" and e, what="the last end")
        self.assertLessEqual(len(last), 20)
        self.assertLess(os.path.getsize(self.tend.home / "history/0"), 100_000)


class Kernel(TendTest):
    def test_one_that_the_kernel_killed_for_want_of_memory_says_so(self):
        self.need_root()
        group = "/sys/fs/cgroup/memory/tend-oom-test"
        try:
            os.mkdir(group)
            with open(f"{group}/memory.limit_in_bytes", "w") as limit_file:
                limit_file.write(str(64 << 20))
        except OSError as error:
            self.skipTest(f"no memory control group of version 1: {error}")
        self.addCleanup(os.rmdir, group)
        self.tend.script("eat.py", f"""import os
with open("{group}/cgroup.procs", "w") as f:
    f.write(str(os.getpid()))
print("eating", flush=True)
x = [bytearray(16 << 20) for _ in range(40)]
""")
        self.tend.ok("start", "eat.py", "--name", "app", "--no-autorestart", "--no-treekill")
        end = wait_for(lambda: json.loads(self.tend.ok("why", "app", "--json").stdout)["apps"][0]["ends"], what="its end")[0]
        self.assertEqual(end["text"], "killed by SIGKILL, probably by the kernel for want of memory")


if __name__ == "__main__":
    unittest.main()
