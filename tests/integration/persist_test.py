"""save and resurrect."""

import json
import time
import unittest

from harness import TendTest, mode, wait_for


class Persist(TendTest):
    def dump(self):
        return json.loads((self.tend.home / "dump.json").read_text())

    def save_two_and_kill(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "runs", "--max-restarts", "7", env={"TASTE": "salt"})
        self.tend.ok("start", "sleeper.sh", "--name", "rests", "-f")
        self.tend.ok("stop", "rests")
        self.tend.ok("restart", "runs")
        self.tend.ok("save")
        self.tend.ok("kill")
        self.tend._first_supervisor = None

    def test_resurrect_brings_back_what_ran_and_keeps_what_rested(self):
        self.save_two_and_kill()
        self.tend.ok("resurrect")
        self.assertEqual({r["name"]: r["pm2_env"]["status"] for r in self.tend.jlist()},
                         {"runs": "online", "rests": "stopped"})
        record = self.tend.app("runs")
        self.assertEqual(record["pm2_env"]["max_restarts"], 7)
        self.assertEqual(record["pm2_env"]["restart_time"], 0)
        self.assertIn(b"TASTE=salt\0", open(f"/proc/{record['pid']}/environ", "rb").read())

    def test_a_new_daemon_starts_nothing_by_itself(self):
        self.save_two_and_kill()
        self.assertEqual(self.tend.jlist(), [])

    def test_the_dump_is_private_and_holds_no_runtime_field(self):
        self.save_two_and_kill()
        path = self.tend.home / "dump.json"
        self.assertEqual(mode(path), 0o600)
        text = path.read_text()
        self.dump()  # is JSON
        for key in ("pm_uptime", "restart_time", "unstable_restarts", '"pid"', "created_at", "exit_code", "monit"):
            self.assertNotIn(key, text)
        self.assertIn("version", text)

    def test_the_generation_before_is_kept_and_used_when_the_dump_is_broken(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "old")
        self.tend.ok("save")
        self.tend.ok("start", "sleeper.sh", "--name", "new", "-f")
        self.tend.ok("save")
        backup = self.tend.home / "dump.json.bak"
        self.assertEqual(mode(backup), 0o600)
        self.assertNotIn('"new"', backup.read_text())
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        (self.tend.home / "dump.json").write_text('{"half of a fi')
        self.tend.run("resurrect")
        self.assertEqual([r["name"] for r in self.tend.jlist()], ["old"])

    def test_an_empty_list_is_not_saved_over_a_full_one_unless_forced(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "kept")
        self.tend.ok("save")
        self.tend.ok("delete", "all")
        self.tend.run("save")
        self.assertIn("kept", (self.tend.home / "dump.json").read_text())
        self.tend.ok("save", "--force")
        self.assertNotIn("kept", (self.tend.home / "dump.json").read_text())

    def test_resurrect_does_not_double_what_runs(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        pid = self.tend.app("one")["pid"]
        self.tend.ok("save")
        self.tend.ok("resurrect")
        self.assertEqual([r["pid"] for r in self.tend.jlist()], [pid])

    def names(self):
        path = self.tend.home / "dump.json"
        return sorted(a["app"]["spec"]["name"] for a in json.loads(path.read_text())["apps"]) if path.exists() else None

    def test_with_auto_on_the_saved_list_follows_every_change_and_a_delete_is_one(self):
        self.tend.sleeper()
        self.tend.ok("save", "--auto", "on")
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        self.tend.ok("start", "sleeper.sh", "--name", "two", "-f")
        wait_for(lambda: self.names() == ["one", "two"], what="both saved")
        self.tend.ok("stop", "two")
        wait_for(lambda: [a["wanted"] for a in self.dump()["apps"]] == [True, False], what="the stop saved")
        self.tend.ok("delete", "one")
        wait_for(lambda: self.names() == ["two"], what="the delete saved")
        self.tend.ok("delete", "all")
        wait_for(lambda: self.names() == [], what="an empty list that was asked for")

    def test_with_auto_on_the_end_of_the_daemon_is_no_delete_and_loses_no_change(self):
        self.tend.sleeper()
        self.tend.ok("save", "--auto", "on")
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        self.tend.ok("kill")  # at once
        self.assertEqual(self.names(), ["one"])
        self.assertEqual(self.tend.jlist(), [])

    def test_with_auto_on_a_daemon_that_was_not_told_to_resurrect_forgets_nothing(self):
        self.tend.sleeper()
        self.tend.ok("save", "--auto", "on")
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        self.tend.ok("start", "sleeper.sh", "--name", "two", "-f")
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.tend.ok("start", "sleeper.sh", "--name", "three")
        wait_for(lambda: self.names() == ["one", "three", "two"], what="all three saved")
        self.tend.ok("update")
        self.tend.supervisor_may_die = True
        self.tend.ok("stop", "three")
        wait_for(lambda: [a["wanted"] for a in self.dump()["apps"] if a["app"]["spec"]["name"] == "three"] == [False])
        self.assertEqual(self.names(), ["one", "three", "two"])
        self.tend.ok("resurrect")
        self.tend.ok("delete", "one")
        wait_for(lambda: self.names() == ["three", "two"], what="the delete saved")

    def test_auto_off_leaves_the_list_as_it_is(self):
        self.tend.sleeper()
        self.tend.ok("save", "--auto", "on")
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        wait_for(lambda: self.names() == ["one"])
        self.tend.ok("save", "--auto", "off")
        self.tend.ok("start", "sleeper.sh", "--name", "two", "-f")
        time.sleep(1)
        self.assertEqual(self.names(), ["one"])
        self.assertEqual(self.tend.run("save", "--auto", "maybe").returncode, 2)

    def test_cleardump_empties_the_saved_list_and_leaves_what_runs(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh", "--name", "one")
        self.tend.ok("save")
        self.tend.ok("cleardump")
        self.assertEqual((self.names(), mode(self.tend.home / "dump.json")), ([], 0o600))
        self.assertEqual(self.tend.status("one"), "online")
        self.tend.ok("kill")
        self.tend._first_supervisor = None
        self.tend.ok("resurrect")
        self.assertEqual(self.tend.jlist(), [])

    def test_secrets_of_the_state_are_private(self):
        self.tend.sleeper()
        self.tend.ok("start", "sleeper.sh")
        for path in self.tend.home.rglob("*"):
            if not path.is_symlink():
                self.assertEqual(mode(path) & 0o077, 0, str(path))


if __name__ == "__main__":
    unittest.main(verbosity=2)
