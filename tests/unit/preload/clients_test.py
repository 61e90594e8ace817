"""The clients of packaging/clients: the C one as its example, the Python one as the program it also is."""

import os
import socket
import subprocess
import sys
import unittest

from peer import EXAMPLE, LIMIT, ROOT, PeerTest, WireTests

CLIENTS = ROOT / "packaging/clients"
PYTHON = os.path.realpath(sys.executable)


class ClientTests(WireTests):
    def answering(self):
        return self.peer(self.argv)

    def test_it_runs_when_nobody_asks_and_when_the_descriptor_is_none(self):
        for value in (None, "", "x", "-1", "0", "999", "99999999999", "99999999999999999999"):
            with self.subTest(value=value):
                peer = self.peer(self.argv, None, {} if value is None else {"TEND_HEARTBEAT": value})
                with self.assertRaises(subprocess.TimeoutExpired):
                    peer.process.wait(0.3)

    def test_it_leaves_a_descriptor_alone_that_is_no_socket(self):
        with open(os.devnull) as file:
            process = subprocess.Popen(self.argv, pass_fds=[file.fileno()], stderr=subprocess.DEVNULL,
                                       env={**os.environ, "TEND_HEARTBEAT": str(file.fileno())})
            try:
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(0.3)
                self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{file.fileno()}"), os.devnull)
            finally:
                process.kill()
                process.wait()

    def test_it_says_ready_to_a_path_and_to_an_abstract_name(self):
        for name in (str(self.dir / "notify"), f"@tend-preload-{os.getpid()}-{self.id()}"[:100]):
            with self.subTest(name=name), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.settimeout(LIMIT)
                end.bind("\0" + name[1:] if name[0] == "@" else name)
                self.peer(self.argv, env={"NOTIFY_SOCKET": name})
                self.assertEqual(end.recv(100), b"READY=1")

    def test_it_lives_on_when_nobody_reads_its_words(self):
        peer = self.peer(self.argv, env={"NOTIFY_SOCKET": str(self.dir / "absent")})
        self.assertEqual(peer.ping()["sequence"], 1)


class CClientTest(ClientTests, PeerTest):
    argv = [EXAMPLE]

    def test_a_loop_that_hangs_answers_no_more(self):
        peer = self.peer([EXAMPLE, "2"])
        peer.ping()
        peer.ping()
        self.assertEqual(peer.line(), "hanging")
        peer.socket.sendall(peer.next_ping())
        self.assertTrue(peer.is_silent())

    def test_its_header_is_cxx_too(self):
        compiler = os.environ.get("TEND_CXX", "c++")
        words = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-xc++", "-"]
        text = f'#include "{CLIENTS}/tend_heartbeat.h"\nint main() {{ return tend_notify("READY=1"); }}\n'
        done = subprocess.run(words, input=text, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class PythonClientTest(ClientTests, PeerTest):
    argv = [PYTHON, "-B", str(CLIENTS / "tend_heartbeat.py")]

    def python(self, text, **words):
        return self.peer([PYTHON, "-B", "-c", f"import sys; sys.path.insert(0, {str(CLIENTS)!r})\n" + text], **words)

    def test_children_see_neither_variable_nor_descriptor(self):
        peer = self.python("""
import os, subprocess, tend_heartbeat as t
beat = t.Heartbeat()
look = "import os; print('TEND_HEARTBEAT' in os.environ, [os.path.realpath(f'/proc/self/fd/{n}') for n in range(3, 20)])"
subprocess.run([sys.executable, "-c", look], close_fds=False)
print(bool(beat), beat.fileno() > 2)
""")
        code, out, err = peer.result()
        self.assertEqual((code, err), (0, ""))
        child, parent = out.splitlines() if out.startswith("False") else reversed(out.splitlines())
        self.assertTrue(child.startswith("False"))
        self.assertNotIn(f"socket:[{peer.inode}]", child)
        self.assertEqual(parent, "True True")

    def test_its_words_for_sd_notify_arrive_and_the_watchdog_is_told_in_seconds(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.settimeout(LIMIT)
            end.bind(str(self.dir / "notify"))
            text = "import tend_heartbeat as t\nprint(t.notify('STATUS=a b\\nWATCHDOG=1'), t.watchdog_seconds())"
            peer = self.python(text, settings=None,
                               env={"NOTIFY_SOCKET": str(self.dir / "notify"), "WATCHDOG_USEC": "1500000"})
            self.assertEqual(peer.result(), (0, "True 1.5\n", ""))
            self.assertEqual(end.recv(100), b"STATUS=a b\nWATCHDOG=1")


if __name__ == "__main__":
    unittest.main()
