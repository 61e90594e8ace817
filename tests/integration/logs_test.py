"""Log files and `tend logs`."""

import json
import os
import re
import selectors
import signal
import time
import unittest

from harness import TendTest, limit, mode, wait_for

CHATTER = """import sys, time
for n in range(int(sys.argv[1])):
    print('line', n, flush=True)
time.sleep(1000)
"""


class Follower:
    """A `tend logs` that runs; its output is read as it comes."""

    def __init__(self, tend, *args):
        self.child = tend.popen("logs", *args)
        os.set_blocking(self.child.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.child.stdout, selectors.EVENT_READ)
        self.text = ""

    def until(self, text, timeout=10):
        end = time.monotonic() + limit(timeout)
        while text not in self.text:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{text!r} was not shown; shown: {self.text!r}")
            if self.selector.select(left):
                piece = os.read(self.child.stdout.fileno(), 65536).decode(errors="replace")
                if not piece:
                    raise AssertionError(f"logs ended before {text!r}; shown: {self.text!r}")
                self.text += piece
        return self.text

    def close(self):
        self.selector.close()
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(limit(5))
        finally:
            if self.child.poll() is None:
                self.child.kill()
            self.child.communicate()


class Logs(TendTest):
    def follow(self, *args):
        follower = Follower(self.tend, *args)
        self.addCleanup(follower.close)
        return follower

    def test_out_and_err_have_their_own_files_that_only_the_owner_reads(self):
        self.tend.script("both.sh", "echo to-out; echo to-err >&2; exec sleep 1000\n")
        self.tend.ok("start", "both.sh", "--name", "my app/1")
        self.tend.wait_text(self.tend.home / "logs/my-app-1-out.log", "to-out\n")
        self.tend.wait_text(self.tend.home / "logs/my-app-1-error.log", "to-err\n")
        self.assertEqual(mode(self.tend.home / "logs/my-app-1-out.log"), 0o600)
        self.assertEqual(mode(self.tend.home / "logs"), 0o700)
        self.assertEqual(mode(self.tend.home), 0o700)
        self.assertEqual(self.tend.read(self.tend.home / "logs/my-app-1-out.log"), "to-out\n")

    def test_a_given_path_is_created_with_its_folders(self):
        self.tend.script("say.sh", "echo hello; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", "-o", "deep/er/out.log", "-e", "deep/er/err.log")
        self.tend.wait_text("deep/er/out.log", "hello\n")

    def test_what_an_app_prints_before_it_dies_is_kept_whole(self):
        # 60 KB fit a pipe: all is there the moment the process is gone.
        self.tend.script("burst.py", "import os\nos.write(1, b''.join(b'%05d burst\\n' % n for n in range(5000)))\n"
                         "os._exit(1)\n")
        self.tend.run("start", "burst.py", "--no-autorestart")
        self.tend.wait_status("burst", "stopped")
        self.tend.wait_text(self.tend.out_log("burst"), "04999 burst\n")
        self.assertEqual(self.tend.read(self.tend.out_log("burst")),
                         "".join(f"{n:05d} burst\n" for n in range(5000)))

    def test_many_lines_arrive_once_and_in_order(self):
        self.tend.script("chatter.py", CHATTER)
        self.tend.ok("start", "chatter.py", "--", "20000")
        self.tend.wait_text(self.tend.out_log("chatter"), "line 19999\n", timeout=30)
        self.assertEqual(self.tend.read(self.tend.out_log("chatter")),
                         "".join(f"line {n}\n" for n in range(20000)))

    def test_time_puts_a_date_before_each_line(self):
        self.tend.script("say.sh", "printf 'one\\ntwo\\n'; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", "--time")
        text = self.tend.wait_text(self.tend.out_log("say"), "two\n")
        self.assertRegex(text, r"\A(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: (one|two)\n){2}\Z")

    def test_a_date_format_is_followed(self):
        self.tend.script("say.sh", "echo one; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", "--log-date-format", "YYYY/MM/DD [at] HH")
        self.assertRegex(self.tend.wait_text(self.tend.out_log("say"), "one\n"), r"\A\d{4}/\d\d/\d\d at \d\d: one\n\Z")

    def test_json_logs_are_one_object_a_line(self):
        self.tend.script("say.sh", "echo 'a \"b\" \\c'; echo err >&2; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", "--log-type", "json")
        self.tend.wait_text(self.tend.out_log("say"), "\n")
        self.tend.wait_text(self.tend.err_log("say"), "\n")
        out = json.loads(self.tend.read(self.tend.out_log("say")).splitlines()[0])
        self.assertEqual(out["message"].rstrip("\n"), 'a "b" \\c')
        self.assertEqual((out["type"], out["app_name"], out["process_id"]), ("out", "say", 0))
        self.assertEqual(json.loads(self.tend.read(self.tend.err_log("say")))["type"], "err")

    def test_a_combined_file_gets_both_streams(self):
        self.tend.script("both.sh", "echo to-out; echo to-err >&2; exec sleep 1000\n")
        self.tend.ok("start", "both.sh", "-l", "all.log")
        self.tend.wait_text("all.log", "to-out\n")
        self.tend.wait_text("all.log", "to-err\n")

    def test_31_a_symbolic_link_in_place_of_the_log_is_not_followed(self):
        target = self.tend.work / "precious"
        target.write_text("mine\n")
        (self.tend.home / "logs").mkdir(parents=True, mode=0o700)
        self.tend.out_log("say").symlink_to(target)
        self.tend.script("say.sh", "echo attack; echo done >&2; exec sleep 1000\n")
        self.tend.run("start", "say.sh")
        self.tend.wait_text(self.tend.err_log("say"), "done\n")
        self.assertEqual(target.read_text(), "mine\n")

    def test_31_writing_goes_on_after_someone_truncated_the_file(self):
        self.tend.script("tick.sh", "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.02; done\n")
        self.tend.ok("start", "tick.sh")
        log = self.tend.out_log("tick")
        self.tend.wait_text(log, "tick 5\n")
        os.truncate(log, 0)
        wait_for(lambda: self.tend.read(log).count("\n") >= 3, what="new lines")
        self.assertNotIn("\0", self.tend.read(log))
        self.assertLess(log.stat().st_size, 1000)

    def test_flush_empties_the_files(self):
        self.tend.script("say.sh", "echo one; exec sleep 1000\n")
        self.tend.ok("start", "say.sh")
        self.tend.wait_text(self.tend.out_log("say"), "one\n")
        self.tend.ok("flush")
        self.assertEqual(self.tend.read(self.tend.out_log("say")), "")

    def test_30_a_line_without_end_is_written_and_costs_no_memory(self):
        self.tend.script("endless.py", "import os, time\nfor _ in range(512): os.write(1, b'x' * 65536)\n"
                         "time.sleep(1000)\n")
        self.tend.ok("start", "endless.py", "--time")
        wait_for(lambda: self.tend.out_log("endless").exists() and
                 self.tend.out_log("endless").stat().st_size >= 31 << 20, 60, "31 of 32 MiB in the log")
        supervisor, _ = self.tend.pids()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", open(f"/proc/{supervisor}/status").read())[1])
        if not os.environ.get("TEND_TEST_SCALE"):  # a sanitizer's shadow counts as resident
            self.assertLess(peak, 24 << 10)

    def test_dev_null_writes_nothing(self):
        self.tend.script("say.sh", "echo one; echo done >&2; exec sleep 1000\n")
        self.tend.ok("start", "say.sh", "-o", "/dev/null")
        self.tend.wait_text(self.tend.err_log("say"), "done\n")
        self.assertFalse(self.tend.out_log("say").exists())

    def test_nostream_shows_the_last_lines_and_ends(self):
        self.tend.script("chatter.py", CHATTER)
        self.tend.ok("start", "chatter.py", "--", "50")
        self.tend.wait_text(self.tend.out_log("chatter"), "line 49\n")
        out = self.tend.ok("logs", "chatter", "--nostream", "--lines", "5").stdout
        self.assertEqual(re.findall(r"line (\d+)", out), ["45", "46", "47", "48", "49"])
        raw = self.tend.ok("logs", "chatter", "--nostream", "--lines", "2", "--raw", "--out").stdout
        self.assertEqual([line for line in raw.splitlines() if line][-2:], ["line 48", "line 49"])

    def test_err_and_out_choose_a_stream(self):
        self.tend.script("both.sh", "echo to-out; echo to-err >&2; exec sleep 1000\n")
        self.tend.ok("start", "both.sh")
        self.tend.wait_text(self.tend.out_log("both"), "to-out")
        self.tend.wait_text(self.tend.err_log("both"), "to-err")
        self.assertNotIn("to-out", self.tend.ok("logs", "both", "--nostream", "--err").stdout)
        out = self.tend.ok("logs", "both", "--nostream", "--out")
        self.assertNotIn("to-err", out.stdout + out.stderr)

    def test_logs_follows_several_apps_with_their_names(self):
        for name in ("one", "two"):
            self.tend.script(f"{name}.sh", f"while :; do echo from-{name}; sleep 0.05; done\n")
            self.tend.ok("start", f"{name}.sh")
        follower = self.follow("--lines", "0")
        follower.until("from-one")
        text = follower.until("from-two")
        self.assertRegex(text, r"0\|one +\| from-one")
        self.assertRegex(text, r"1\|two +\| from-two")

    def test_logs_follows_apps_that_come_later_and_not_what_their_files_had(self):
        self.tend.script("late.sh", "i=0; while :; do echo $MARK-$i; i=$((i+1)); sleep 0.1; done\n")
        self.tend.ok("start", "late.sh", "--name", "old", env={"MARK": "before"})
        self.tend.ok("stop", "old")
        self.tend.ok("start", self.tend.sleeper(), "--name", "quiet")
        self.tend.ok("delete", "old")
        follower = self.follow("--lines", "0")
        time.sleep(0.5)
        self.tend.ok("start", "late.sh", "--name", "late", env={"MARK": "line"})
        text = follower.until("line-1\n")
        self.assertRegex(text, r"late +\| line-0\n")
        self.assertNotIn("before-", text)

    def test_logs_follows_through_rotation_and_truncation(self):
        self.tend.script("say.sh", "echo first; exec sleep 1000\n")
        self.tend.ok("start", "say.sh")
        log = self.tend.out_log("say")
        self.tend.wait_text(log, "first\n")
        follower = self.follow("say")
        follower.until("first")
        with open(log, "a") as f:
            f.write("second, before any change\n")
        follower.until("second, before any change")
        os.rename(log, f"{log}.1")
        log.write_text("third, in a new file\n")
        follower.until("third, in a new file")
        os.truncate(log, 0)
        with open(log, "a") as f:
            f.write("4th\n")
        follower.until("4th")
        self.assertEqual(follower.text.count("second, before any change"), 1)

    def test_logs_json_prints_objects(self):
        self.tend.script("tick.sh", "while :; do echo tick; sleep 0.05; done\n")
        self.tend.ok("start", "tick.sh")
        follower = self.follow("tick", "--json")
        follower.until("tick\"")
        follower.until("}\n")
        line = json.loads(follower.text.splitlines()[0])
        self.assertEqual((line["type"], line["app_name"]), ("out", "tick"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
