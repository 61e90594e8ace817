"""apply and diff: what runs becomes what a file says, and what is the same is left alone."""

import json
import os
import unittest

from harness import TendTest, alive, wait_for


def variables(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(entry.split("=", 1) for entry in file.read().decode(errors="replace").split("\0") if "=" in entry)


class Apply(TendTest):
    def file(self, *apps, name="eco.json", **fields):
        return self.tend.json_file(name, {"apps": [{"script": "sleep", "args": "1000", **app} for app in apps], **fields})

    def pids(self):
        found = {}
        for record in self.tend.jlist():
            found.setdefault(record["name"], []).append(record["pid"])
        return found

    def diff(self, *words, code=1):
        done = self.tend.run("diff", "eco.json", "--json", *words)
        self.assertEqual(done.returncode, code, done.stderr)
        return {c["app"]: c for c in json.loads(done.stdout)["changes"]}

    def test_what_is_the_same_keeps_its_process_and_the_rest_follows_the_file(self):
        self.file({"name": "same", "env": {"A": "1"}}, {"name": "changed", "env": {"A": "1", "OLD": "x"}},
                  {"name": "grows"}, {"name": "gone"})
        self.assertEqual(set(self.diff()), {"same", "changed", "grows", "gone"})
        self.tend.ok("apply", "eco.json")
        before = self.pids()
        self.assertEqual(self.diff(code=0), {})
        self.assertIn("nothing to change", self.tend.ok("apply", "eco.json").stdout)
        self.assertEqual(self.pids(), before)

        self.file({"name": "same", "env": {"A": "1"}}, {"name": "changed", "env": {"A": "2"}, "kill_timeout": "3s"},
                  {"name": "grows", "instances": 3}, {"name": "new"})
        found = self.diff()
        self.assertEqual({f["field"]: (f["from"], f["to"]) for f in found["changed"]["fields"]},
                         {"kill_timeout": (1600, 3000), "env.A": ("1", "2"), "env.OLD": ("x", None)})
        self.assertEqual(found["grows"]["instances"], {"from": 1, "to": 3})
        self.assertEqual(set(found), {"changed", "grows", "new"})
        self.assertEqual(set(self.diff("--prune")), {"changed", "grows", "new", "gone"})
        self.assertIn("kill_timeout: 1600ms -> 3s", self.tend.run("diff", "eco.json").stdout)

        dry = self.tend.ok("apply", "eco.json", "--prune", "--dry-run")
        self.assertEqual(self.pids(), before)
        self.assertIn("gone: delete", dry.stdout)

        self.tend.ok("apply", "eco.json")
        after = self.pids()
        self.assertEqual(after["same"], before["same"])
        self.assertEqual(after["gone"], before["gone"])
        self.assertNotEqual(after["changed"], before["changed"])
        self.assertEqual(len(after["grows"]), 3)
        self.assertIn(before["grows"][0], after["grows"])
        environment = variables(after["changed"][0])
        self.assertEqual(environment["A"], "2")
        self.assertNotIn("OLD", environment)

        answer = json.loads(self.tend.ok("apply", "eco.json", "--prune", "--json").stdout)
        self.assertTrue(answer["ok"])
        self.assertEqual([c["action"] for c in answer["changes"]], ["delete"])
        self.assertEqual(set(self.pids()), {"same", "changed", "grows", "new"})
        self.file({"name": "same", "env": {"A": "1"}}, {"name": "changed", "env": {"A": "2"}, "kill_timeout": "3s"},
                  {"name": "grows"}, {"name": "new"})
        self.tend.ok("apply", "eco.json")
        self.assertEqual(len(self.pids()["grows"]), 1)
        self.assertEqual(self.diff(code=0), {})

    def test_what_goes_is_not_restarted_before(self):
        self.file({"name": "a", "instances": 3})
        self.tend.ok("apply", "eco.json")
        self.file({"name": "a", "instances": 1, "restart_delay": 7})
        results = json.loads(self.tend.ok("apply", "eco.json", "--json").stdout)["results"]
        self.assertEqual([(r["id"], r["action"]) for r in results],
                         [(2, "deleted"), (1, "deleted"), (0, "restarted")])
        self.assertEqual(self.diff(code=0), {})

    def test_prune_deletes_nothing_that_another_file_or_a_person_started(self):
        self.file({"name": "theirs"}, name="other.json")
        self.tend.ok("start", "other.json")
        self.tend.ok("start", "sleep", "--name", "mine", "--", "1000")
        self.file({"name": "a"}, {"name": "b"})
        self.tend.ok("apply", "eco.json")
        self.file({"name": "a"})
        self.tend.ok("apply", "eco.json", "--prune")
        self.assertEqual(set(self.pids()), {"theirs", "mine", "a"})

    def test_a_stopped_app_is_started_and_a_finished_one_is_not(self):
        self.file({"name": "stopped"}, {"name": "done", "script": "true", "args": "", "autorestart": False})
        self.tend.ok("apply", "eco.json")
        self.tend.wait_status("done", "stopped")
        self.assertEqual(self.diff(code=0), {})
        self.tend.ok("stop", "stopped")
        self.assertEqual(set(self.diff()), {"stopped"})
        self.tend.ok("apply", "eco.json")
        self.assertEqual(self.tend.status("stopped"), "online")
        self.assertEqual(self.tend.app("done")["pm2_env"]["restart_time"], 0)

    def test_an_app_on_its_way_out_is_brought_back(self):
        self.tend.script("slow.sh", "#!/bin/bash\ntrap 'sleep 1; exit' INT\necho up\nwhile :; do sleep 0.05; done\n")
        self.tend.json_file("slow.json", {"apps": [{"name": "slow", "script": "slow.sh"}]})
        for back in (("apply", "slow.json"), ("start", "slow.sh")):
            self.tend.ok("start", "slow.json")
            old = self.tend.app("slow")["pid"]
            self.tend.wait_text(self.tend.home / "logs/slow-out.log", "up")
            with self.tend.popen("stop", "slow"):
                self.tend.wait_status("slow", "stopping")
                self.tend.ok(*back)
            self.assertEqual(self.tend.status("slow"), "online")
            self.assertNotEqual(self.tend.app("slow")["pid"], old)
            self.tend.ok("delete", "slow")
            self.tend.ok("flush")

    def test_a_changed_mode_or_script_is_picked_up(self):
        self.file({"name": "a"}, {"name": "b"})
        self.tend.ok("apply", "eco.json")
        self.tend.sleeper()
        self.file({"name": "a", "script": "./sleeper.sh", "args": ""}, {"name": "b", "increment_var": "N"})
        self.assertEqual({n: c["action"] for n, c in self.diff().items()}, {"a": "reload", "b": "replace"})
        self.tend.ok("apply", "eco.json")
        self.assertEqual(self.diff(code=0), {})
        self.assertTrue(self.tend.app("a")["pm2_env"]["pm_exec_path"].endswith("sleeper.sh"))
        self.assertEqual(variables(self.tend.app("b")["pid"])["N"], "0")

    def test_what_was_recorded_outlives_the_supervisor(self):
        self.tend.supervisor_may_die = True
        self.file({"name": "a"}, {"name": "b"})
        self.tend.ok("apply", "eco.json")
        before = self.pids()
        supervisor = self.tend.pids()[0]
        os.kill(supervisor, 9)
        wait_for(lambda: not alive(supervisor), what="the supervisor's end")
        self.file({"name": "a"})
        self.assertEqual(set(self.diff("--prune")), {"b"})
        self.tend.ok("apply", "eco.json", "--prune")
        self.assertEqual(self.pids(), {"a": before["a"]})

    def test_a_written_env_file_is_a_change(self):
        (self.tend.work / ".env").write_text("A=1\n")
        os.utime(self.tend.work / ".env", (1, 1))
        self.file({"name": "a", "env_file": ".env"})
        self.tend.ok("apply", "eco.json")
        self.assertEqual(self.diff(code=0), {})
        (self.tend.work / ".env").write_text("A=2\n")
        self.assertEqual([f["field"] for f in self.diff()["a"]["fields"]], ["env_file"])
        self.tend.ok("apply", "eco.json")
        self.assertEqual(variables(self.tend.app("a")["pid"])["A"], "2")

    def test_a_wrong_file_changes_nothing_and_says_so(self):
        self.file({"name": "a"})
        self.tend.ok("apply", "eco.json")
        before = self.pids()
        self.file({"name": "a", "kill_timeout": "soon"}, {"name": "b"})
        self.assertEqual(self.tend.run("diff", "eco.json").returncode, 2)
        done = self.tend.run("apply", "eco.json", "--prune")
        self.assertEqual(done.returncode, 1)
        self.assertIn("kill_timeout", done.stderr)
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.tend.run("diff", "nowhere.json").returncode, 2)

    def test_a_clustered_app_is_reloaded_without_a_gap(self):
        self.need("node")
        self.tend.script("web.js", "require('http').createServer((q, s) => s.end(process.env.V))"
                                   ".listen(process.env.SOCK)\n")
        app = {"name": "web", "script": "web.js", "args": "", "instances": 2, "exec_mode": "cluster"}
        self.file({**app, "env": {"V": "1", "SOCK": str(self.tend.dir / "s")}})
        self.tend.ok("apply", "eco.json")
        self.file({**app, "env": {"V": "2", "SOCK": str(self.tend.dir / "s")}})
        done = self.tend.ok("apply", "eco.json")
        self.assertIn("reloaded", done.stdout)
        self.assertEqual({variables(r["pid"])["V"] for r in self.tend.jlist()}, {"2"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
