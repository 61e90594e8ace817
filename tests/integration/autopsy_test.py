"""What the autopsy says of real programs that hang, and whom it leaves alone."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from autopsy_probe import BLOCKED, Hung, autopsy, line_of
from harness import BIN, limit, wait_for

MS = int(limit(2000))  # tests prove what is found; how fast is measured by bench/autopsy_trials.py


def look(pid, mode="inspector", ms=MS):
    return autopsy(BIN, pid, ms, mode)[0]


def state(pid):
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2]


class Inspector(unittest.TestCase):
    def check_frame(self, report, function, way):
        self.assertEqual(report["mode"], "inspector", report)
        top = report["frames"][0]
        self.assertEqual((top["function"], top["file"], top["line"]), (function, str(BLOCKED), line_of(way)))
        self.assertGreater(top["column"], 0)

    def test_an_endless_loop_is_named_with_its_callers(self):
        with Hung.node("spin") as app:
            report = look(app.pid)
            self.check_frame(report, "spin", "spin")
            self.assertEqual(report["frames"][1]["function"], "start")
            self.assertTrue(app.alive())

    def test_a_regular_expression_that_backtracks_is_named(self):
        with Hung.node("regex") as app:
            self.check_frame(look(app.pid), "backtrack", "regex")

    def test_a_loop_that_calls_into_node_is_among_the_frames(self):
        with Hung.node("calls") as app:
            frames = look(app.pid)["frames"]
            self.assertIn(("calls", str(BLOCKED), line_of("calls")), [(f["function"], f["file"], f["line"]) for f in frames])

    def test_of_a_deep_stack_the_innermost_twenty_frames_are_given(self):
        with Hung.node("nested") as app:
            report = look(app.pid, ms=MS * 5)
            self.check_frame(report, "inner", "nested")
            self.assertEqual(len(report["frames"]), 20)

    def test_the_kernels_side_is_written_first(self):
        with Hung.node("spin") as app:
            report, before, _, code = autopsy(BIN, app.pid, MS, "inspector")
            self.assertEqual(code, 0)
            self.assertTrue(all(one["partial"] and one["state"].startswith("R") for one in before))
            self.assertGreaterEqual(len(before), 2)
            self.assertNotIn("partial", report)

    def test_a_path_with_blanks_is_given_as_a_path(self):
        with tempfile.TemporaryDirectory(prefix="tend autopsy ä ") as folder:
            copy = Path(folder) / "a b.mjs"
            copy.write_text("function spin() { for (;;); }\nprocess.stdout.write('ready\\n', () => spin());\n")
            preload = BLOCKED.with_name("preload.js")
            with Hung(["node", "-r", str(preload), str(copy)]) as app:
                top = look(app.pid)["frames"][0]
                self.assertEqual((top["function"], top["file"], top["line"]), ("spin", str(copy), 1))

    def test_a_debugger_that_is_open_already_costs_the_frames_only(self):
        with Hung(["node", "--inspect=127.0.0.1:0", str(BLOCKED), "spin"]) as app:
            report = look(app.pid, ms=300)
            self.assertEqual(report["mode"], "kernel")
            self.assertIn("did not open", report["note"])
            self.assertEqual(report["state"][0], "R")


class Kernel(unittest.TestCase):
    def check_kernel(self, report, app, note=None):
        self.assertEqual(report["mode"], "kernel", report)
        self.assertNotIn("frames", report)
        if note:
            self.assertIn(note, report["note"])
        self.assertTrue(app.alive())

    def test_a_blocking_read_gets_no_signal_and_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            fifo = os.path.join(folder, "fifo")
            os.mkfifo(fifo)
            with Hung.node("read", fifo) as app:
                report = look(app.pid)
                self.check_kernel(report, app, "waits in the kernel")
                self.assertEqual((report["state"][0], report["syscall"]), ("S", "read"))
                with open(fifo, "w") as writer:  # it still reads: nothing interrupted it
                    writer.write("x")
                self.assertEqual(app.child.wait(limit(20)), 0)

    def test_a_wait_for_another_thread_is_a_futex(self):
        with Hung.node("wait") as app:
            report = look(app.pid)
            self.check_kernel(report, app, "waits in the kernel")
            self.assertEqual(report["syscall"], "futex")

    def test_a_synchronous_child_is_a_poll_in_the_kernel(self):
        with Hung.node("exec") as app:
            report = look(app.pid)
            self.check_kernel(report, app, "waits in the kernel")
            self.assertIn(report["syscall"], ("epoll_wait", "epoll_pwait"))

    def test_native_code_that_never_pauses_ends_in_the_kernels_side(self):
        with Hung.node("parse", settle=0.1) as app:
            report = look(app.pid, ms=150)
            self.check_kernel(report, app, "no JavaScript stack")

    def test_a_stopped_process_gets_nothing(self):
        with Hung.node("spin") as app:
            os.kill(app.pid, signal.SIGSTOP)
            wait_for(lambda: state(app.pid) == "T")
            report = look(app.pid)
            self.check_kernel(report, app, "stopped")
            self.assertEqual(report["state"][0], "T")
            self.assertEqual(state(app.pid), "T")

    def test_a_program_without_a_handler_gets_no_signal(self):
        busy = "print('ready', flush=True)\nwhile True: pass"
        for argv in (["sh", "-c", "echo ready; exec sleep 600"], [os.path.realpath(sys.executable), "-c", busy]):
            with self.subTest(argv[0]), Hung(argv) as app:
                self.check_kernel(look(app.pid), app, "no handler")

    def test_mode_kernel_signals_nobody(self):
        with Hung.node("idle") as app:
            self.check_kernel(look(app.pid, "kernel"), app)
            self.assertEqual(app.said(), "")

    def test_an_idle_node_with_a_handler_of_its_own_gets_no_signal(self):
        with Hung.node("idle", settle=0.3) as app:
            report = look(app.pid)
            self.check_kernel(report, app, "waits in the kernel")
            self.assertIn(report["syscall"], ("epoll_wait", "epoll_pwait"))
            self.assertEqual(app.said(), "")

    @unittest.skipUnless(shutil.which("eu-stack"), "elfutils is not installed")
    def test_the_native_stack_names_the_function(self):
        with Hung(["sh", "-c", "echo ready; exec sleep 600"]) as app:
            report = look(app.pid, "kernel")
            self.assertIn("nanosleep", " ".join(report["native_stack"]))
            self.check_kernel(report, app)

    def test_a_process_with_the_same_number_but_another_start_is_left_alone(self):
        with Hung.node("spin") as app:
            report, _, _, code = autopsy(BIN, app.pid, MS, "inspector", start=1)
            self.assertIsNone(report)
            self.assertEqual(code, 1)

    def test_nobody_there_is_exit_1_and_nonsense_exit_2(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.assertEqual(autopsy(BIN, gone.pid)[3], 1)
        for bad in (["1"], ["0", "150", "kernel"], ["1", "150", "fast"], ["1", "-5", "kernel"], ["1", "99999999", "auto"]):
            done = subprocess.run(["tend: autopsy", *bad], executable=BIN, stdout=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stdout), (2, b""), bad)


@unittest.skipUnless(os.geteuid() == 0, "starts processes of other users")
class Auto(unittest.TestCase):
    def test_another_users_process_forbids_the_port_under_auto(self):
        stranger = subprocess.Popen(["setpriv", "--reuid", "60123", "--regid", "60123", "--clear-groups", "sleep", "600"])
        try:
            wait_for(lambda: os.stat(f"/proc/{stranger.pid}").st_uid == 60123)
            with Hung.node("spin") as app:
                report = look(app.pid, "auto")
                self.assertEqual(report["mode"], "kernel")
                self.assertIn("others could use", report["note"])
                self.assertEqual(look(app.pid, "inspector")["mode"], "inspector")
        finally:
            stranger.kill()
            stranger.wait()

    def test_another_users_listening_socket_forbids_it_too(self):
        # Of a container that shares the network and not the processes, only this is seen.
        server = socket.socket()
        try:
            server.bind(("127.0.0.1", 0))
            os.fchown(server.fileno(), 60123, 60123)
            server.listen(1)
            with Hung.node("spin") as app:
                self.assertEqual(look(app.pid, "auto")["mode"], "kernel")
        finally:
            server.close()

    def test_a_roots_helper_looks_into_another_users_app(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for name in ("blocked.js", "preload.js"):
                shutil.copy(BLOCKED.with_name(name), folder)
            node = os.path.realpath(shutil.which("node"))
            run = ["setpriv", "--reuid", "60123", "--regid", "60123", "--clear-groups"]
            if subprocess.run([*run, node, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                self.skipTest("node is not for everybody here")
            with Hung([*run, node, "-r", f"{folder}/preload.js", f"{folder}/blocked.js", "spin"]) as app:
                report = look(app.pid)
                self.assertEqual(report["frames"][0]["function"], "spin")


if __name__ == "__main__":
    unittest.main()
