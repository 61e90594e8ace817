"""stop, restart, delete: whom they mean, what they answer, what they count."""

import unittest

from harness import TendTest, alive, wait_for


class StopRestartDelete(TendTest):
    def setUp(self):
        super().setUp()
        self.tend.ok("start", self.tend.json_file("apps.json", {"apps": [
            {"name": "api-1", "script": "sleep", "args": "1000", "namespace": "web"},
            {"name": "api-2", "script": "sleep", "args": "1000", "namespace": "web"},
            {"name": "worker", "script": "sleep", "args": "1000"},
        ]}))

    def statuses(self):
        return {r["name"]: r["pm2_env"]["status"] for r in self.tend.jlist()}

    def test_a_stop_that_a_start_overtakes_is_told_and_the_last_one_has_it(self):
        self.tend.script("slow.sh", "trap 'sleep 1; exit 0' INT\necho begun\nwhile :; do sleep 0.05; done\n")
        for first in ("stop", "delete"):
            for second in ("restart", "start"):
                self.tend.ok("start", "slow.sh", "-f", "--name", f"{first}-{second}")
                name = f"{first}-{second}"
                self.tend.wait_text(self.tend.out_log(name), "begun")
                stops = self.tend.popen(first, name)
                wait_for(lambda: self.tend.status(name) == "stopping", what="the stop")
                if (first, second) == ("delete", "start"):
                    stops.communicate(timeout=30)  # another app of that name may come while the first one goes
                    continue
                self.tend.ok(second, name)
                _, said = stops.communicate(timeout=10)
                self.assertEqual(stops.returncode, 1, said)
                self.assertIn("was started meanwhile", said)
                self.assertEqual(self.tend.status(name), "online")

    def test_a_name_stops_one_and_its_process_is_gone_on_return(self):
        pid = self.tend.app("worker")["pid"]
        self.tend.ok("stop", "worker")
        self.assertFalse(alive(pid))
        self.assertEqual(self.statuses(), {"api-1": "online", "api-2": "online", "worker": "stopped"})
        self.assertEqual(self.tend.app("worker")["pid"], 0)

    def test_an_id_stops_one(self):
        self.tend.ok("stop", "1")
        self.assertEqual(self.statuses(), {"api-1": "online", "api-2": "stopped", "worker": "online"})

    def test_several_words_stop_several(self):
        self.tend.ok("stop", "0", "worker")
        self.assertEqual(self.statuses(), {"api-1": "stopped", "api-2": "online", "worker": "stopped"})

    def test_all_stops_all(self):
        self.tend.ok("stop", "all")
        self.assertEqual(set(self.statuses().values()), {"stopped"})

    def test_a_regular_expression_stops_those_that_match(self):
        self.tend.ok("stop", "/^api/")
        self.assertEqual(self.statuses(), {"api-1": "stopped", "api-2": "stopped", "worker": "online"})

    def test_a_namespace_stops_its_apps(self):
        self.tend.ok("stop", "web")
        self.assertEqual(self.statuses(), {"api-1": "stopped", "api-2": "stopped", "worker": "online"})

    def test_a_file_stops_what_it_names(self):
        path = self.tend.json_file("two.json", {"apps": [{"name": "worker", "script": "sleep"},
                                                         {"name": "not-there", "script": "sleep"}]})
        self.tend.ok("stop", path)
        self.assertEqual(self.statuses(), {"api-1": "online", "api-2": "online", "worker": "stopped"})

    def test_stopping_twice_succeeds(self):
        self.tend.ok("stop", "worker")
        self.tend.ok("stop", "worker")

    def test_an_unknown_word_exits_1_and_the_others_are_done(self):
        done = self.tend.run("stop", "nobody", "worker")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)
        self.assertEqual(self.statuses()["worker"], "stopped")

    def test_no_word_is_a_usage_error(self):
        self.assertEqual(self.tend.run("stop").returncode, 2)

    def test_restart_counts_a_live_app_and_gives_a_new_process(self):
        before = self.tend.app("worker")
        self.tend.ok("restart", "worker")
        after = self.tend.app("worker")
        self.assertNotEqual(before["pid"], after["pid"])
        self.assertFalse(alive(before["pid"]))
        self.assertEqual(after["pm2_env"]["restart_time"], 1)
        self.assertEqual(after["pm_id"], before["pm_id"])

    def test_restart_of_a_stopped_app_starts_it_without_counting(self):
        self.tend.ok("stop", "worker")
        self.tend.ok("restart", "worker")
        self.assertEqual(self.tend.status("worker"), "online")
        self.assertEqual(self.tend.app("worker")["pm2_env"]["restart_time"], 0)

    def test_reset_zeroes_the_counter(self):
        self.tend.ok("restart", "worker")
        self.tend.ok("reset", "worker")
        self.assertEqual(self.tend.app("worker")["pm2_env"]["restart_time"], 0)

    def test_restart_all_restarts_each_once(self):
        self.tend.ok("restart", "all")
        self.assertEqual([r["pm2_env"]["restart_time"] for r in self.tend.jlist()], [1, 1, 1])

    def test_delete_removes_the_record_and_the_process(self):
        pid = self.tend.app("worker")["pid"]
        self.tend.ok("delete", "worker")
        self.assertFalse(alive(pid))
        self.assertIsNone(self.tend.app("worker"))
        self.assertEqual(self.tend.run("delete", "worker").returncode, 1)

    def test_delete_all_leaves_an_empty_list(self):
        self.tend.ok("delete", "all")
        self.assertEqual(self.tend.jlist(), [])
        self.assertEqual(self.tend.run("stop", "all").returncode, 1)

    def test_a_signal_reaches_the_app(self):
        self.tend.script("trap.sh", "trap 'echo usr2' USR2; echo up; while :; do sleep 0.05; done\n")
        self.tend.ok("start", "trap.sh")
        self.tend.wait_text(self.tend.out_log("trap"), "up\n")
        self.tend.ok("sendSignal", "SIGUSR2", "trap")
        self.tend.wait_text(self.tend.out_log("trap"), "usr2\n")
        self.assertNotEqual(self.tend.run("sendSignal", "SIGNOTHING", "trap").returncode, 0)
        self.assertEqual(self.tend.run("sendSignal", "SIGUSR2", "nobody").returncode, 1)

    def test_update_env_brings_the_callers_variables_and_a_plain_restart_does_not(self):
        self.tend.script("say.sh", "echo say=$SAY; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", env={"SAY": "one"})
        self.tend.wait_text(self.tend.out_log("say"), "say=one\n")
        self.tend.ok("restart", "say", env={"SAY": "two"})
        wait_for(lambda: self.tend.read(self.tend.out_log("say")).count("say=one\n") == 2, what="the old value")
        self.tend.ok("restart", "say", "--update-env", env={"SAY": "three"})
        self.tend.wait_text(self.tend.out_log("say"), "say=three\n")

    def test_a_restart_can_change_settings(self):
        self.tend.ok("restart", "worker", "--max-restarts", "3", "--kill-timeout", "2s")
        env = self.tend.app("worker")["pm2_env"]
        self.assertEqual((env["max_restarts"], env["kill_timeout"]), (3, 2000))


if __name__ == "__main__":
    unittest.main(verbosity=2)
