"""Restarts by changes of files, with real programs and what editors do."""

import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import TendTest, wait_for

QUIET = 0.5  # longer than the pause after which changes count as one


class Watch(TendTest):
    def restarts(self, name="app"):
        return self.tend.app(name)["pm2_env"]["restart_time"]

    def log(self):
        return self.tend.read(self.tend.home / "tend.log")

    def watching(self, times=1):
        """The trees were walked: from here on changes are seen."""
        wait_for(lambda: self.log().count("folders are watched") >= times, 10, "the watch to begin")

    def start(self, *flags, name="app", watch="--watch"):
        (self.tend.work / "src").mkdir(exist_ok=True)
        (self.tend.work / "src/a.js").write_text("1")
        self.tend.ok("start", "sleep", "--name", name, watch, *flags, "--", "1000")
        self.watching()

    def write(self, path, text="2"):
        path = self.tend.work / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def changes(self, action, count=1, name="app"):
        before = self.restarts(name)
        action()
        wait_for(lambda: self.restarts(name) >= before + count, 10, "a restart")
        time.sleep(QUIET)
        self.assertEqual(self.restarts(name), before + count)
        self.assertEqual(self.tend.status(name), "online")

    def unchanged(self, action, name="app"):
        before = self.restarts(name)
        action()
        time.sleep(QUIET)
        self.assertEqual(self.restarts(name), before)

    def test_a_change_restarts_once_and_tells_which_path(self):
        self.start()
        self.changes(lambda: self.write("src/a.js"))
        self.assertIn("Change detected on path src/a.js for app app - restarting", self.log())
        self.assertIn("watch src/a.js", self.tend.ok("why", "app").stdout)
        self.assertIn("watch src/a.js", self.tend.ok("describe", "app").stdout)
        self.assertIs(self.tend.app("app")["pm2_env"]["watch"], True)
        self.assertIn("enabled", self.tend.ok("list").stdout)

    def test_an_editors_save_is_one_restart_and_its_own_files_are_none(self):
        self.start()
        folder = self.tend.work / "src"

        def vim():
            (folder / "4913").write_text("")
            (folder / "4913").unlink()
            os.rename(folder / "a.js", folder / "a.js~")
            (folder / "a.js").write_text("vim")
            (folder / "a.js~").unlink()

        def by_rename():
            (folder / ".a.js.tmp").write_text("new")
            os.rename(folder / ".a.js.tmp", folder / "a.js")

        self.changes(vim)
        self.changes(by_rename)
        self.unchanged(lambda: (folder / ".a.js.swp").write_text("x"))

    def test_folders_that_come_move_and_go_are_followed(self):
        self.start()
        self.changes(lambda: self.write("lib/deep/er/x.js"))
        self.changes(lambda: self.write("lib/deep/er/x.js"))
        self.changes(lambda: os.rename(self.tend.work / "lib/deep", self.tend.work / "moved"))
        self.changes(lambda: self.write("moved/er/x.js"))
        self.assertIn("path moved/er/x.js", self.log())
        self.changes(lambda: shutil.rmtree(self.tend.work / "moved"))

    def test_dotfiles_and_node_modules_are_left_out_by_default(self):
        self.start()
        for path in (".git/index", "node_modules/x/index.js", "src/.hidden"):
            self.unchanged(lambda p=path: self.write(p))

    def test_ignore_rules_are_names_paths_globs_and_regular_expressions(self):
        rules = ["data", "src/gen.js", "logs/*", "**/*.log", "[\\/\\\\]\\./", "^/tmp\\d+/"]
        self.write("src/x.js")
        self.tend.json_file("e.json", {"apps": [{"name": "app", "script": "sleep", "args": "1000", "watch": True,
                                                  "ignore_watch": rules + ["e.json"]}]})
        for folder in ("data", "logs", "tmp12", ".git"):
            (self.tend.work / folder).mkdir()
        self.tend.ok("start", "e.json")
        self.watching()

        def all_of_them():
            for path in ("data/a", "src/gen.js", "logs/b", "src/c.log", ".git/d", "tmp12/e"):
                self.write(path)

        self.unchanged(all_of_them)
        self.changes(lambda: self.write("src/gen2.js"))

    def test_ext_looks_at_the_listed_extensions_only(self):
        self.start("--ext", "js,json")
        self.unchanged(lambda: self.write("src/a.txt"))
        self.changes(lambda: self.write("src/b.json"))

    def test_paths_and_files_that_are_not_there_yet_may_be_watched(self):
        self.write("other/x.js")
        self.start(watch="--watch=src one.txt")
        self.unchanged(lambda: self.write("other/x.js"))
        self.changes(lambda: self.write("src/a.js"))
        self.changes(lambda: self.write("one.txt"))
        self.changes(lambda: self.write("one.txt", "3"))

    def test_own_logs_and_pid_file_in_the_watched_folder_are_no_change(self):
        self.tend.script("talk.sh", "#!/bin/sh\nwhile :; do echo line; sleep 0.05; done\n")
        self.tend.ok("start", "talk.sh", "--name", "app", "--watch", "-o", "out.log", "-e", "err.log", "-p", "app.pid")
        self.watching()
        self.tend.wait_text("out-0.log" if not (self.tend.work / "out.log").exists() else "out.log", "line")
        self.unchanged(lambda: time.sleep(0.3))

    def test_watch_delay_waits(self):
        self.start("--watch-delay", "1500ms")
        before = time.monotonic()
        self.changes(lambda: self.write("src/a.js"))
        self.assertGreater(time.monotonic() - before, 1.4)

    def test_stop_turns_it_off_and_restart_watch_on_and_off(self):
        self.start()
        self.tend.ok("stop", "app", "--watch")
        self.assertIs(self.tend.app("app")["pm2_env"]["watch"], False)
        self.write("src/a.js")
        time.sleep(QUIET)
        self.assertEqual(self.tend.status("app"), "stopped")
        self.tend.ok("restart", "app")
        self.unchanged(lambda: self.write("src/a.js"))
        self.tend.ok("restart", "app", "--watch")
        self.watching(2)
        self.changes(lambda: self.write("src/a.js"))
        self.tend.ok("restart", "app", "--watch")
        self.unchanged(lambda: self.write("src/a.js"))

    def test_all_instances_restart_and_one_that_has_errored_is_started(self):
        self.tend.script("bad.sh", "#!/bin/sh\n. ./mode\n")
        self.write("mode", "exit 1\n")
        self.tend.ok("start", "bad.sh", "--name", "app", "--watch", "--max-restarts", "1", "--no-wait")
        self.watching()
        self.tend.wait_status("app", "errored")
        self.write("mode", "exec sleep 1000\n")
        self.tend.wait_status("app", "online")
        self.tend.ok("start", "sleep", "--name", "two", "-i", "2", "--watch", "--", "1000")
        self.watching(2)
        self.write("mode", "exec sleep 1001\n")
        wait_for(lambda: [r["pm2_env"]["restart_time"] for r in self.tend.jlist() if r["name"] == "two"] == [1, 1], 10)

    def test_an_app_that_writes_where_it_watches_does_not_restart_for_ever(self):
        self.tend.script("self.sh", "#!/bin/sh\nmkdir -p state\ndate +%N > state/now\nexec sleep 1000\n")
        self.tend.ok("start", "self.sh", "--name", "app", "--watch")
        wait_for(lambda: "by itself" in self.log(), 20, "the loop to be seen")
        self.assertRegex(self.log(), r"in a row for state/now, each time soon after its start")
        time.sleep(0.2)
        self.unchanged(lambda: None)  # the next one waits for two seconds
        self.assertLessEqual(self.restarts(), 8)
        self.changes(lambda: self.write("code.js"))  # other files still count

    def test_a_restart_that_someone_asks_for_after_the_change_is_enough(self):
        self.start("--watch-delay", "700ms")

        def deploy():
            self.write("src/a.js")
            time.sleep(0.2)
            self.tend.ok("restart", "app")

        before = self.restarts()
        deploy()
        time.sleep(1.2)
        self.assertEqual(self.restarts(), before + 1)

    def limited_watches(self, count):
        self.need("unshare")
        limited = ["unshare", "-Ur", "sh", "-c", f'echo {count} > /proc/sys/user/max_inotify_watches && exec "$@"', "sh"]
        if subprocess.run([*limited, "true"], capture_output=True).returncode != 0:
            self.skipTest("no user namespace to set a limit in")
        self.tend = self.make_tend(prefix=limited)

    def looked_at(self):
        """The limit was told of, and the first look, with which the next ones are compared, is over."""
        self.tend.wait_text(self.tend.home / "tend.log", "fs.inotify.max_user_watches")
        time.sleep(1)

    def test_46_at_the_limit_of_watches_files_are_looked_at_in_turn(self):
        self.limited_watches(3)
        for i in range(6):
            self.write(f"src/d{i}/a.js")
        self.tend.ok("start", "sleep", "--name", "app", "--watch", "--", "1000")
        self.looked_at()
        self.assertEqual(self.tend.status("app"), "online")
        # None of them is missed, whichever had a watch before.
        for i in range(6):
            self.changes(lambda i=i: self.write(f"src/d{i}/a.js", "changed"))
        self.changes(lambda: self.write("src/new/folder/b.js"))
        self.assertEqual(self.log().count("max_user_watches"), 1)
        # What it had no use for any more is there for another.
        self.tend.ok("start", "sleep", "--name", "other", "--watch", self.tend.work / "src/d0", "--", "1000")
        self.watching()

    def test_46_folders_that_come_beyond_the_limit_are_looked_at_too(self):
        self.limited_watches(4)
        self.start()
        self.write("src/x/y/z/a.js")
        self.looked_at()
        self.changes(lambda: self.write("src/x/y/z/a.js", "changed"))
        self.changes(lambda: self.write("src/a.js", "changed"))

    def test_it_outlives_the_supervisor(self):
        self.start()
        self.tend.supervisor_may_die = True
        os.kill(self.tend.pids()[0], signal.SIGKILL)
        self.watching(2)
        self.changes(lambda: self.write("src/a.js"))

    def test_a_node_app_that_is_changed_runs_its_new_code(self):
        self.need("node")
        self.tend.script("app.js", "console.log('one'); setInterval(() => {}, 1000)\n")
        self.tend.ok("start", "app.js", "--watch")
        self.watching()
        self.tend.wait_text(self.tend.out_log("app"), "one")
        self.write("app.js", "console.log('two'); setInterval(() => {}, 1000)\n")
        self.tend.wait_text(self.tend.out_log("app"), "two")

    def test_polling_sees_changes_too(self):
        self.write("src/a.js")
        self.tend.json_file("e.json", {"apps": [{"name": "app", "script": "sleep", "args": "1000", "watch": ["src"],
                                                  "watch_options": {"usePolling": True, "interval": 100}}]})
        self.tend.ok("start", "e.json")
        wait_for(lambda: "looked at in turn" in self.log(), 10, "the watch to begin")
        time.sleep(0.3)
        self.changes(lambda: self.write("src/a.js", "longer"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
