"""The machine loses its power: every process is gone at once, and the next boot has another id."""

import contextlib
import os
import random
import signal
import subprocess
import time
import unittest
import uuid

from harness import SCALE, TendTest, alive, processes_naming, wait_for

MOUNT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


def other_boot_ids_work():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


class Power(TendTest):
    def setUp(self):
        if not other_boot_ids_work():
            self.skipTest("another boot id needs root and a mount namespace")
        super().setUp()
        self.boot_id = self.tend.dir / "boot_id"
        self.tend.prefix = ["unshare", "-m", "sh", "-c", MOUNT, self.boot_id]
        self.tend.supervisor_may_die = True
        self.new_boot()
        self.tend.sleeper()

    def new_boot(self):
        self.boot_id.write_text(f"{uuid.uuid4()}\n")

    def cut(self):
        """The daemons first, so that none sees the other processes go. One may be born while the list is read."""
        struck = set()

        def strike(signal_number, title=""):
            found = processes_naming(str(self.tend.dir))
            for pid, command in found:
                if command.startswith(title):
                    struck.add(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal_number)
            return not found and not any(alive(pid) for pid in struck)
        strike(signal.SIGSTOP, "tend: ")
        wait_for(lambda: strike(signal.SIGKILL), 10, "the end of all")
        self.new_boot()

    def mark(self, name):
        return f"{self.tend.dir.name}-{name}"

    def file(self, names):
        return self.tend.json_file("apps.json", {"apps": [
            {"name": name, "script": "sleeper.sh", "env": {"APP_NAME": self.mark(name)}} for name in names]})

    def running(self):
        """Name -> how many processes."""
        found = {}
        for record in self.tend.jlist():
            name = record["name"]
            wait_for(lambda: self.tend.app(name)["pm2_env"]["status"] == "online", 20, f"{name} online")
            found[name] = len([pid for pid, command in processes_naming(f"APP_NAME={self.mark(name)}") if "sleep" in command])
        return found

    def test_49_wanted_apps_are_up_once_after_a_cut_at_a_random_moment_of_apply(self):
        first, second = "abcdef", "defghi"
        self.tend.ok("save", "--auto", "on")
        self.tend.ok("apply", self.file(first), "--prune")
        wait_for(lambda: '"f"' in self.tend.read(self.tend.home / "dump.json"), 10, "a saved list")
        dice = random.Random(49)
        cut_short = 0
        for n in range(50 if SCALE == 1 else 10):
            names = (second, first)[n % 2]
            command = self.tend.popen("apply", self.file(names), "--prune", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(dice.random() * 0.15 * SCALE)
            cut_short += command.poll() is None
            self.cut()
            command.wait()
            with self.subTest(cut=n):
                self.tend.ok("resurrect")
                running = self.running()
                self.assertEqual(set(running.values()), {1})
                self.assertLessEqual(set(first) & set(second), set(running))
                self.assertLessEqual(set(running), set(first) | set(second))
                self.tend.ok("apply", self.file(names), "--prune")
                self.assertEqual(self.running(), dict.fromkeys(names, 1))
        self.assertGreater(cut_short, 3)

    def test_49_another_boot_starts_nothing_that_was_not_saved(self):
        self.tend.ok("start", "sleeper.sh", "--name", "saved")
        self.tend.ok("save")
        self.tend.ok("start", "sleeper.sh", "--name", "unsaved")
        self.cut()
        self.assertEqual(self.tend.jlist(), [])
        self.tend.ok("resurrect")
        self.assertEqual([(r["name"], r["pm2_env"]["status"]) for r in self.tend.jlist()], [("saved", "online")])


class Autosaved(TendTest):
    def test_49_a_change_that_a_dying_supervisor_did_not_save_is_saved_by_its_successor(self):
        self.tend.supervisor_may_die = True
        self.tend.sleeper()
        self.tend.ok("save", "--auto", "on")
        dump = self.tend.home / "dump.json"
        self.tend.ok("start", "sleeper.sh", "--name", "gone")
        wait_for(lambda: '"gone"' in self.tend.read(dump), 10, "a saved list")
        supervisor = self.tend.pids()[0]
        self.tend.ok("start", "sleeper.sh", "--name", "stays", "-f")
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: '"stays"' in self.tend.read(dump), 10, "the start saved")
        supervisor = self.tend.pids()[0]
        self.tend.ok("delete", "gone")
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: '"gone"' not in self.tend.read(dump), 10, "the delete saved")


if __name__ == "__main__":
    unittest.main()
