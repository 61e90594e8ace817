"""What `tend start` accepts, and what it does with it."""

import os
import shutil
import unittest

from harness import TendTest, alive, wait_for

JS = "console.log('js', process.argv.slice(2).join(','), process.env.NODE_APP_INSTANCE);setInterval(()=>{}, 1e6);\n"
PY = "import signal, sys\nprint('py', *sys.argv[1:], flush=True)\nsignal.pause()\n"


class Start(TendTest):
    def test_a_js_file_runs_under_node_and_gets_the_words_after_the_dashes(self):
        self.need("node")
        self.tend.script("app.js", JS)
        self.tend.ok("start", "app.js", "--name", "api", "--", "--port", "3000")
        record = self.tend.app("api")
        self.assertEqual(record["pm2_env"]["status"], "online")
        self.assertEqual(record["pm2_env"]["exec_mode"], "fork_mode")
        self.assertEqual(record["pm2_env"]["pm_exec_path"], str(self.tend.work / "app.js"))
        self.assertEqual(record["pm2_env"]["args"], ["--port", "3000"])
        self.tend.wait_text(self.tend.out_log("api"), "js --port,3000 0")

    def test_a_py_file_runs_under_python(self):
        self.tend.script("app.py", PY)
        self.tend.ok("start", "app.py", "--", "x y")
        self.tend.wait_text(self.tend.out_log("app"), "py x y\n")

    def test_an_sh_file_runs_under_bash(self):
        self.need("bash")
        self.tend.script("app.sh", "echo shell ${BASH_VERSION:+bash}; exec sleep 1000\n")
        self.tend.ok("start", "app.sh")
        self.tend.wait_text(self.tend.out_log("app"), "shell bash\n")

    def test_a_binary_runs_by_itself(self):
        binary = self.tend.work / "mysleep"
        shutil.copy(shutil.which("sleep"), binary)
        self.tend.ok("start", "./mysleep", "--", "1000")
        record = self.tend.app("mysleep")
        self.assertEqual(record["pm2_env"]["exec_interpreter"], "none")
        self.assertEqual(os.readlink(f"/proc/{record['pid']}/exe"), str(binary))

    def test_a_program_is_found_in_the_path(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        self.assertEqual(self.tend.status("s"), "online")

    def test_a_quoted_line_runs_in_a_shell(self):
        self.tend.ok("start", "echo one two; exec sleep 1000", "--name", "line")
        self.tend.wait_text(self.tend.out_log("line"), "one two\n")
        self.assertEqual(self.tend.status("line"), "online")

    def test_a_quoted_line_without_name_is_named_by_its_words(self):
        self.tend.ok("start", "sleep 1000")
        self.assertEqual([r["name"] for r in self.tend.jlist()], ["sleep 1000"])

    def test_npm_start_works(self):
        self.need("npm")
        self.tend.script("serve.js", "console.log('served'); setInterval(()=>{}, 1e6);\n")
        self.tend.json_file("package.json", {"name": "p", "version": "1.2.3", "scripts": {"start": "node serve.js"}})
        self.tend.ok("start", "npm", "--name", "web", "--", "start")
        self.tend.wait_text(self.tend.out_log("web"), "served", timeout=30)

    def test_two_instances_have_one_name_and_two_numbers(self):
        self.need("node")
        self.tend.script("app.js", JS)
        self.tend.ok("start", "app.js", "-i", "2")
        records = self.tend.jlist()
        self.assertEqual([r["name"] for r in records], ["app", "app"])
        self.assertEqual([r["pm_id"] for r in records], [0, 1])
        self.assertEqual(len({r["pid"] for r in records}), 2)
        for index in (0, 1):
            self.tend.wait_text(self.tend.out_log("app", index), f"js  {index}\n")

    def test_cwd_and_environment_reach_the_app(self):
        (self.tend.work / "sub").mkdir()
        self.tend.script("where.sh", "pwd; echo $COLOUR $name $pm_id; exec sleep 1000\n")
        self.tend.ok("start", str(self.tend.work / "where.sh"), "--cwd", str(self.tend.work / "sub"),
                     env={"COLOUR": "blue"})
        text = self.tend.wait_text(self.tend.out_log("where"), "blue")
        self.assertEqual(text, f"{self.tend.work}/sub\nblue where 0\n")

    def test_an_app_begins_a_session_with_default_signals_and_no_foreign_descriptor(self):
        self.tend.script("fds.py", "import os, signal\n"
                         "blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
                         "print('sid', os.getsid(0) == os.getpid(), 'blocked', len(blocked),"
                         " 'int', signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, flush=True)\n"
                         "print('fds', sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1], flush=True)\n"
                         "signal.pause()\n")
        self.tend.ok("start", "fds.py")
        text = self.tend.wait_text(self.tend.out_log("fds"), "fds")
        self.assertEqual(text, "sid True blocked 0 int True\nfds [0, 1, 2]\n")

    def test_an_unknown_script_is_named_and_exits_1(self):
        done = self.tend.run("start", "nowhere.js")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere.js", done.stderr)
        self.assertEqual(self.tend.jlist(), [])

    def test_20_a_file_that_cannot_be_executed_says_why_with_its_path(self):
        path = self.tend.script("broken", "#!/no/such/interpreter\n")
        done = self.tend.run("start", "./broken", "--interpreter", "none", "--max-restarts", "1")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, f"{path}.*No such file|No such file.*{path}")

    def test_20_an_unknown_interpreter_exits_1(self):
        self.tend.script("app.js", JS)
        done = self.tend.run("start", "app.js", "--interpreter", "no-such-program")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no-such-program", done.stderr)

    def test_the_same_script_twice_is_refused_unless_forced(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        self.assertEqual(self.tend.run("start", "sleeper.sh").returncode, 1)
        self.assertEqual(len(self.tend.jlist()), 1)
        self.tend.ok("start", "sleeper.sh", "-f")
        self.assertEqual(len(self.tend.jlist()), 2)

    def test_start_of_a_stopped_name_runs_it_again_under_its_id(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "s")
        self.tend.ok("stop", "s")
        self.tend.ok("start", "s")
        record = self.tend.app("s")
        self.assertEqual((record["pm_id"], record["pm2_env"]["status"]), (0, "online"))

    def test_no_autostart_registers_only(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--no-autostart")
        self.assertEqual(self.tend.status("sleeper"), "stopped")

    def test_a_wrong_unit_names_flag_and_value_and_is_a_usage_error(self):
        self.tend.sleeper()
        done = self.tend.run("start", "sleeper.sh", "--restart-delay", "5parsecs")
        self.assertEqual(done.returncode, 2)
        self.assertIn("5parsecs", done.stderr)
        self.assertIn("restart", done.stderr)

    def test_an_unknown_flag_is_a_usage_error(self):
        self.assertEqual(self.tend.run("start", "x", "--no-such-flag").returncode, 2)

    def test_uid_changes_the_user_and_the_owner_of_the_log(self):
        self.need_root()
        self.tend.dir.chmod(0o755)
        self.tend.ok("start", "id -u; exec sleep 1000", "--name", "who", "--uid", "65534", "--cwd", "/")
        self.tend.wait_text(self.tend.out_log("who"), "65534\n")
        self.assertEqual(os.stat(self.tend.out_log("who")).st_uid, 65534)

    def test_an_app_lives_on_when_its_starter_is_gone(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        pid = self.tend.app("sleeper")["pid"]
        _, keeper = self.tend.pids()
        self.assertTrue(alive(pid))
        with open(f"/proc/{pid}/stat") as text:
            self.assertEqual(int(text.read().rsplit(")", 1)[1].split()[1]), keeper)
        wait_for(lambda: self.tend.status("sleeper") == "online")


if __name__ == "__main__":
    unittest.main(verbosity=2)
