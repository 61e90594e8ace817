"""What the listings print."""

import json
import re
import unittest

from harness import TendTest, wait_for


class Listing(TendTest):
    def test_jlist_of_an_empty_home_is_an_empty_array_and_nothing_else(self):
        self.assertEqual(self.tend.ok("jlist").stdout.strip(), "[]")

    def test_jlist_is_one_json_array_and_nothing_else(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "b")
        self.tend.ok("start", "sleeper.sh", "--name", "a", "-f")
        out = self.tend.ok("jlist").stdout
        records = json.loads(out)
        self.assertEqual(out.count("\n"), out.endswith("\n"))
        self.assertEqual([r["pm_id"] for r in records], [0, 1])
        for record in records:
            self.assertLessEqual({"pid", "name", "pm2_env", "pm_id", "monit"}, record.keys())
            self.assertEqual(set(record["monit"]), {"memory", "cpu"})
            self.assertLessEqual({"status", "exec_mode", "pm_exec_path", "pm_cwd", "pm_uptime", "restart_time",
                                  "unstable_restarts", "created_at", "pm_out_log_path", "pm_err_log_path",
                                  "pm_pid_path", "namespace", "env", "unique_id"}, record["pm2_env"].keys())

    def test_memory_of_a_running_app_is_measured(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        wait_for(lambda: self.tend.app("s")["monit"]["memory"] > 0, what="memory above 0")

    def test_the_table_has_its_columns_and_is_sorted_by_name(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "zebra")
        self.tend.ok("start", "sleeper.sh", "--name", "ant", "-f")
        for word in ("list", "ls", "status"):
            lines = self.tend.ok(word).stdout.splitlines()
            rows = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
            self.assertEqual(rows[0], ["id", "name", "namespace", "version", "mode", "pid", "uptime", "↺", "status",
                                       "health", "cpu", "mem", "user", "watching"])
            self.assertEqual([row[1] for row in rows[1:]], ["ant", "zebra"])
            self.assertEqual([row[8] for row in rows[1:]], ["online", "online"])

    def test_no_colour_reaches_a_pipe_when_it_is_refused(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        self.assertNotIn("\x1b", self.tend.ok("list", "--no-color").stdout)

    def test_pid_and_id_answer_by_name(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "s")
        self.assertEqual(self.tend.ok("pid", "s").stdout.split(), [str(self.tend.app("s")["pid"])])
        self.assertEqual(re.findall(r"\d+", self.tend.ok("id", "s").stdout), ["0"])
        self.assertEqual(re.findall(r"\d+", self.tend.ok("id", "nobody").stdout), [])

    def test_env_prints_the_apps_environment(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", env={"FLAVOUR": "plum"})
        self.assertRegex(self.tend.ok("env", "0").stdout, r"(?m)^FLAVOUR: plum$")
        self.assertEqual(self.tend.run("env", "7").returncode, 1)

    def test_describe_names_paths_and_the_cause_of_the_last_restart(self):
        script = self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "s")
        self.tend.ok("restart", "s")
        for word in ("describe", "show"):
            out = self.tend.ok(word, "s").stdout
            for text in (str(script), str(self.tend.out_log("s")), "online", "restart"):
                self.assertIn(text, out)
        self.assertEqual(self.tend.run("describe", "nobody").returncode, 1)

    def test_describe_tells_a_crash_from_a_request(self):
        self.tend.ok("start", "sleep", "--name", "s", "--", "1000")
        import os
        import signal
        os.kill(self.tend.app("s")["pid"], signal.SIGKILL)
        wait_for(lambda: self.tend.app("s")["pm2_env"]["restart_time"] == 1, what="one restart")
        self.assertRegex(self.tend.ok("describe", "s").stdout, r"SIGKILL|signal 9")

    def test_prettylist_shows_the_keys_that_scripts_look_for(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        out = self.tend.ok("prettylist").stdout
        self.assertIn("status: 'online'", out)
        self.assertIn("restart_time: 0", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
