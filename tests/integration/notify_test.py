"""sd_notify(3): what an app says on its NOTIFY_SOCKET is believed if it is the app that speaks, and acted upon."""

import os
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

from harness import TendTest, alive, limit, port_is_free, wait_for

# In front of each program: say() as libsystemd does it, with descriptors if there are any.
PRELUDE = """#!/usr/bin/env python3
import array, os, signal, socket, sys, time
def say(text, *fds, to=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\\0" + (to or os.environ["NOTIFY_SOCKET"])[1:])
        s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
def barrier():
    r, w = os.pipe()
    say("BARRIER=1", w)
    os.close(w)
    return os.read(r, 1) == b""
def note(name, text=""):
    with open(name + ".new", "w") as f: f.write(str(text))
    os.rename(name + ".new", name)
def wait_file(name):
    while not os.path.exists(name): time.sleep(0.01)
"""
REST = "\ntime.sleep(1000)\n"


class Notify(TendTest):
    def start(self, body, *args, name="app"):
        self.tend.script(f"{name}.py", PRELUDE + body + REST)
        self.tend.ok("start", f"{name}.py", *args)

    def wait_file(self, name):
        path = self.tend.work / name
        wait_for(path.exists, what=name)
        return path.read_text()

    def go(self, name="go"):
        (self.tend.work / name).write_text("")

    def described(self, label, name="app"):
        for line in self.tend.ok("describe", name).stdout.splitlines():
            cells = [c.strip() for c in line.split("│")[1:-1]]
            if len(cells) == 2 and cells[0] == label:
                return cells[1]
        return None

    def wait_described(self, label, value):
        wait_for(lambda: self.described(label) == value, what=f"{label}: {value}")

    def kill_supervisor(self):
        pid = self.tend.pids()[0]
        self.tend.supervisor_may_die = True
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.tend.pids()[0] != pid, what="another supervisor")

    # What is shown ---------------------------------------------------------------------------------------------------

    def test_status_is_shown_by_describe_and_outlives_the_supervisor(self):
        self.start('say("STATUS=step 1 of 2 \\u20ac\\033[31m\\nREADY=1")', "--wait-ready")
        self.assertEqual(self.described("status text"), "step 1 of 2 €\u0020[31m")
        self.kill_supervisor()
        self.assertEqual(self.described("status text"), "step 1 of 2 €\u0020[31m")

    def test_an_app_says_that_it_reloads_and_that_it_stops(self):
        self.start("""say("READY=1\\nSTATUS=a"); wait_file("go")
say("RELOADING=1\\nMONOTONIC_USEC=%d\\nSTATUS=reading" % (time.monotonic_ns() // 1000)); wait_file("on")
say("READY=1\\nSTATUS=b"); wait_file("end"); say("STOPPING=1")""")
        self.wait_described("status text", "a")
        self.assertIsNone(self.described("says it is"))
        self.go()
        self.wait_described("says it is", "reloading")
        self.go("on")
        self.wait_described("status text", "b")
        self.assertIsNone(self.described("says it is"))
        self.go("end")
        self.wait_described("says it is", "stopping")

    def test_the_reason_of_a_failure_is_kept_with_it(self):
        self.start('say("STATUS=no\\nERRNO=2\\nEXIT_STATUS=78"); sys.exit(3)', "--no-autorestart")
        self.tend.wait_status("app", "stopped")
        self.wait_described("last words", "errno 2 (No such file or directory), exit status 78")

    def test_a_barrier_is_answered_when_what_was_said_before_was_heard(self):
        self.start('say("STATUS=first"); note("answered", barrier())')
        self.assertEqual(self.wait_file("answered"), "True")
        self.assertEqual(self.described("status text"), "first")

    # Who speaks ------------------------------------------------------------------------------------------------------

    def address_of(self, pid):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"NOTIFY_SOCKET="):
                return entry.split(b"=", 1)[1].decode()
        return None

    def test_another_process_of_the_user_is_not_heard(self):
        self.tend.script("app.py", PRELUDE + REST)
        child = self.tend.popen("start", "app.py", "--wait-ready", "--listen-timeout", "60s", "--no-wait")
        child.communicate(timeout=limit(20))
        address = wait_for(lambda: self.address_of((self.tend.app("app") or {}).get("pid") or 0)
                           if (self.tend.app("app") or {}).get("pid") else None, what="its address")
        self.tend.script("forger.py", PRELUDE + """
say("READY=1\\nSTATUS=forged\\nMAINPID=%d\\nWATCHDOG=trigger" % os.getpid(), to=sys.argv[1])
say("FDSTORE=1\\nFDNAME=forged", 0, to=sys.argv[1])
wait_file("go")
""")
        forger = subprocess.Popen(["python3", str(self.tend.work / "forger.py"), address], cwd=self.tend.work)
        try:
            self.tend.wait_text(self.tend.home / "tend.log", f"process {forger.pid}, which is none of its own")
            self.assertEqual(self.tend.status("app"), "launching")
            self.assertIsNone(self.described("status text"))
            self.assertNotEqual(self.tend.app("app")["pid"], forger.pid)
        finally:
            self.go()
            forger.wait(limit(10))
            self.tend.ok("delete", "app")

    def test_a_child_is_heard_also_one_that_left_its_session(self):
        self.start("""
if os.fork() == 0:
    say("STATUS=child"); wait_file("go")
    pid = os.getpid()
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == pid: time.sleep(0.01)
        say("STATUS=daemon"); note("daemon", barrier())
        time.sleep(1000)
    os._exit(0)
os.wait()""")
        self.wait_described("status text", "child")
        self.go()
        self.assertEqual(self.wait_file("daemon"), "True")
        self.assertEqual(self.described("status text"), "daemon")

    def test_who_is_gone_before_it_was_looked_at_may_say_ready_but_no_more(self):
        self.tend.script("helper.py", PRELUDE + """
say("READY=1\\nSTATUS=by a helper\\nSTOPPING=1\\nMAINPID=%s" % sys.argv[1])
say("FDSTORE=1\\nFDNAME=x", os.memfd_create("x"))
""")
        self.tend.script("app.py", PRELUDE + """
wait_file("go")
if os.fork() == 0: time.sleep(1000)
child = open("/proc/self/task/%d/children" % os.getpid()).read().split()[0]
if os.fork() == 0: os.execvp("python3", ["python3", "helper.py", child])
os.waitid(os.P_ALL, 0, os.WEXITED)
note("over", os.environ.get("LISTEN_FDS"))
""" + REST)
        self.tend.popen("start", "app.py", "--wait-ready", "--listen-timeout", "60s", "--no-wait").communicate()
        pid = wait_for(lambda: (self.tend.app("app") or {}).get("pid"), what="a pid")
        supervisor = self.tend.pids()[0]
        os.kill(supervisor, signal.SIGSTOP)
        self.go()
        self.assertEqual(self.wait_file("over"), "None")
        os.kill(supervisor, signal.SIGCONT)
        self.tend.wait_status("app", "online")
        self.assertEqual(self.described("status text"), "by a helper")
        self.assertIsNone(self.described("says it is"))
        self.assertEqual(self.tend.app("app")["pid"], pid)
        (self.tend.work / "over").unlink()
        self.tend.popen("restart", "app").communicate()
        self.assertEqual(self.wait_file("over"), "None")

    def test_a_helper_of_a_shell_script_says_ready(self):
        self.need("systemd-notify")
        self.tend.script("app.sh", "#!/bin/sh\nsystemd-notify --status='from a shell'\nsystemd-notify --ready\n"
                                   "exec sleep 1000\n")
        self.tend.ok("start", "app.sh", "--wait-ready", "--listen-timeout", "30s")
        self.assertEqual(self.tend.status("app"), "online")
        self.assertEqual(self.described("status text"), "from a shell")

    # More time -------------------------------------------------------------------------------------------------------

    def test_a_slow_start_that_asks_for_time_has_it(self):
        self.start('say("EXTEND_TIMEOUT_USEC=30000000"); time.sleep(1.5); say("READY=1")', "--wait-ready",
                   "--listen-timeout", "1s")
        self.assertEqual(self.tend.status("app"), "online")

    def test_a_slow_stop_that_asks_for_time_has_it(self):
        self.start("""def end(*_):
    say("STOPPING=1\\nEXTEND_TIMEOUT_USEC=30000000"); time.sleep(1); note("finished"); sys.exit(0)
signal.signal(signal.SIGINT, end); say("READY=1")""", "--wait-ready", "--listen-timeout", "30s", "--kill-timeout", "300")
        self.tend.ok("stop", "app")
        self.assertTrue((self.tend.work / "finished").exists())

    # Descriptors -----------------------------------------------------------------------------------------------------

    STORE = """
fds = [int(n) + 3 for n in range(int(os.environ.get("LISTEN_FDS", 0)))]
names = os.environ.get("LISTEN_FDNAMES", "").split(":") if fds else []
if fds: assert os.environ["LISTEN_PID"] == str(os.getpid())
run = len([f for f in os.listdir(".") if f.startswith("run")])
def text(fd): os.lseek(fd, 0, 0); return os.read(fd, 99).decode()
"""

    def test_a_stored_descriptor_comes_to_each_next_process_until_it_is_removed(self):
        self.start(self.STORE + """
if run == 0:
    fd = os.memfd_create("stored"); os.write(fd, b"kept")
    say("FDSTORE=1\\nFDNAME=memory", fd)
    say("FDSTORE=1\\nFDNAME=twice", fd)
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
    say("FDSTORE=1", s.fileno())
    barrier()
    note("run0", s.getsockname()[1])
elif run in (1, 2):
    port = socket.socket(fileno=fds[1]).getsockname()[1]
    note("run%d" % run, (names, text(fds[0]), port))
    if run == 2: say("FDSTOREREMOVE=1\\nFDNAME=memory"); barrier(); note("removed")
else:
    note("run%d" % run, names)
""")
        port = int(self.wait_file("run0"))
        self.assertEqual(self.held_memfds(), 1)
        self.tend.ok("restart", "app")
        self.assertEqual(self.wait_file("run1"), str((["memory", "stored"], "kept", port)))
        self.kill_supervisor()
        os.kill(self.tend.app("app")["pid"], signal.SIGKILL)
        self.assertEqual(self.wait_file("run2"), str((["memory", "stored"], "kept", port)))
        self.wait_file("removed")
        self.tend.ok("restart", "app")
        self.assertEqual(self.wait_file("run3"), str(["stored"]))
        self.assertEqual(self.held_memfds(), 0)
        self.tend.ok("stop", "app")
        self.tend.ok("start", "app")
        self.assertEqual(self.wait_file("run4"), str(["stored"]))
        self.tend.ok("delete", "app")
        wait_for(lambda: port_is_free(port), what="the keeper to let the socket go")

    def held_memfds(self):
        folder = Path(f"/proc/{self.tend.pids()[1]}/fd")
        return sum("memfd:stored" in os.readlink(fd) for fd in folder.iterdir())

    def test_the_store_takes_fd_store_descriptors_and_what_hung_up_makes_room(self):
        self.start(self.STORE + """
if run == 0:
    for n in range(3):
        fd = os.memfd_create("x"); say("FDSTORE=1\\nFDNAME=m%d" % n, fd)
        if n == 0: r, w = os.pipe(); say("FDSTORE=1\\nFDNAME=pipe", r); barrier(); os.close(r); os.close(w)
    barrier()
note("run%d" % run, names)
""", "--fd-store", "2")
        self.wait_file("run0")
        self.tend.ok("restart", "app")
        self.assertEqual(self.wait_file("run1"), str(["m0", "m1"]))
        self.assertIn("fd_store is 2", self.tend.read(self.tend.home / "tend.log"))

    def test_stored_descriptors_come_after_the_sockets_of_listen_and_before_nodes_channel(self):
        self.need("node")
        self.tend.script("store.py", PRELUDE + 'say("FDSTORE=1\\nFDNAME=in", os.memfd_create("x")); barrier()\n')
        self.tend.script("app.js", """
const fs = require('fs'), {execFileSync} = require('child_process');
const e = process.env;
fs.writeFileSync('env.new', JSON.stringify([e.LISTEN_FDS || '', e.LISTEN_FDNAMES || '']));
fs.renameSync('env.new', e.LISTEN_FDS > 1 ? 'second' : 'first');
execFileSync('python3', ['store.py']);
process.send({type: 'done', data: {}}, () => fs.writeFileSync('stored', e.LISTEN_FDS));
setInterval(() => {}, 1e6);
""")
        path = self.tend.json_file("e.json", {"apps": [{"name": "app", "script": "app.js", "wait_ready": False,
                                                        "listen": ["127.0.0.1:0"]}]})
        self.tend.ok("start", path)
        self.assertEqual(self.wait_file("first"), '["1","app"]')
        wait_for(lambda: self.tend.read("stored") == "1", what="its word on the channel")
        self.tend.ok("restart", "app")
        self.assertEqual(self.wait_file("second"), '["2","app:in"]')
        wait_for(lambda: self.tend.read("stored") == "2", what="the second one's word on the channel")

    # Another main process --------------------------------------------------------------------------------------------

    FORK = """
if os.path.exists("run"): say("READY=1"); note("again"); time.sleep(1000)
note("run")
if os.fork() == 0:
    os.setsid()
    wait_file("ready"); say("STATUS=the second one")
    time.sleep(1000)
child = int(open("/proc/self/task/%d/children" % os.getpid()).read())
say("MAINPID=%d\\nREADY=1" % child)
note("child", child)
"""

    def test_21_a_main_process_that_was_named_lives_on_and_its_end_is_the_apps(self):
        self.start(self.FORK + "os._exit(0)", "--wait-ready")
        child = int(self.wait_file("child"))
        wait_for(lambda: self.tend.app("app")["pid"] == child, what="the new pid")
        time.sleep(0.3)
        self.assertEqual(self.tend.status("app"), "online")
        self.assertEqual(self.tend.app("app")["pm2_env"]["restart_time"], 0)
        self.kill_supervisor()
        record = self.tend.app("app")
        self.assertEqual((record["pid"], record["pm2_env"]["status"]), (child, "online"))
        self.go("ready")
        self.wait_described("status text", "the second one")
        self.assertEqual(self.tend.read(self.tend.home / "pids" / "app-0.pid"), str(child))
        os.kill(child, signal.SIGKILL)
        self.wait_file("again")
        self.tend.wait_status("app", "online")
        self.assertIn("exit status unknown (double fork)", self.described("last cause"))
        self.assertEqual(self.tend.app("app")["pm2_env"]["restart_time"], 1)

    def test_its_end_while_no_supervisor_watches_is_seen_by_the_next(self):
        self.start(self.FORK + "os._exit(0)", "--wait-ready")
        child = int(self.wait_file("child"))
        wait_for(lambda: self.tend.app("app")["pid"] == child, what="the new pid")
        supervisor = self.tend.pids()[0]
        self.tend.supervisor_may_die = True
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not alive(child), what="its end")
        os.kill(supervisor, signal.SIGKILL)
        self.wait_file("again")
        self.tend.wait_status("app", "online")
        self.assertIn("exit status unknown (double fork)", self.described("last cause"))

    def test_stop_ends_the_named_one_and_its_parent(self):
        self.start(self.FORK, "--wait-ready")
        child = int(self.wait_file("child"))
        wait_for(lambda: self.tend.app("app")["pid"] == child, what="the new pid")
        parent = int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
        self.tend.ok("stop", "app")
        self.assertFalse(alive(child) or alive(parent))
        self.assertEqual(self.tend.status("app"), "stopped")

    def test_a_process_of_somebody_else_cannot_be_named(self):
        self.start('say("READY=1\\nMAINPID=%d" % os.getppid()); say("MAINPID=1\\nMAINPID=-1"); note("said", barrier())',
                   "--wait-ready")
        self.wait_file("said")
        self.assertNotEqual(self.tend.app("app")["pid"], self.tend.pids()[1])
        self.assertIn("is no living process of it", self.tend.read(self.tend.home / "tend.log"))

    # What an app finds -----------------------------------------------------------------------------------------------

    ENV = 'note("env", [os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID") == str(os.getpid()), ' \
          '"NOTIFY_SOCKET" in os.environ])'

    def test_an_app_is_told_how_often_its_watchdog_is_looked_at(self):
        self.start(self.ENV, "--heartbeat-interval", "2s", "--heartbeat-misses", "4")
        self.assertEqual(self.wait_file("env"), "['8000000', True, True]")

    def test_without_heartbeat_it_finds_neither(self):
        self.start(self.ENV, "--heartbeat", "off")
        self.assertEqual(self.wait_file("env"), "[None, False, False]")

    # Libraries -------------------------------------------------------------------------------------------------------

    def test_a_c_program_speaks_by_libsystemd(self):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler or not Path("/usr/include/systemd/sd-daemon.h").exists():
            self.skipTest("no C compiler or no libsystemd-dev")
        (self.tend.work / "app.c").write_text("""
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
int main(void) {
  char** names = NULL;
  uint64_t period = 0;
  int count = sd_listen_fds_with_names(1, &names);
  int watched = sd_watchdog_enabled(1, &period);
  if (count == 0) {
    int fd = memfd_create("m", 0);
    sd_pid_notify_with_fds(0, 0, "FDSTORE=1\\nFDNAME=c", &fd, 1);
    sd_notify_barrier(0, 5000000);
  }
  sd_notifyf(0, "READY=1\\nSTATUS=count %d %s watched %d %lu", count, count > 0 ? names[0] : "-", watched,
             (unsigned long)period);
  for (;;) pause();
}
""")
        subprocess.run([compiler, "app.c", "-o", "app", "-lsystemd", "-D_GNU_SOURCE"], cwd=self.tend.work, check=True)
        self.tend.ok("start", "./app", "--wait-ready", "--listen-timeout", "30s")
        self.assertEqual(self.described("status text"), "count 0 - watched 1 3000000")
        self.tend.ok("restart", "app")
        self.assertEqual(self.described("status text"), "count 1 c watched 1 3000000")

    def test_a_python_program_speaks_by_python3_systemd(self):
        python = "/usr/bin/python3"
        if subprocess.run([python, "-c", "import systemd.daemon"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no python3-systemd")
        self.tend.script("app.py", "from systemd import daemon\nimport time\n"
                                   "daemon.notify('READY=1\\nSTATUS=by the library')\ntime.sleep(1000)\n")
        self.tend.ok("start", "app.py", "--interpreter", python, "--wait-ready", "--listen-timeout", "30s")
        self.assertEqual(self.described("status text"), "by the library")


if __name__ == "__main__":
    unittest.main(verbosity=2)
