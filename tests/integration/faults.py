"""What the fault tests inject: small and failing file systems, refused system calls, fewer descriptors.

Mounts are made in a mount namespace of the test's own process, so nothing of them is left when it ends.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from harness import TendTest, limit, wait_for

_CLONE_NEWNS = 0x20000


def _command(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=limit(30), check=False)
    if done.returncode != 0:
        raise unittest.SkipTest(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


def private_mounts():
    """From here on this process and its children have their own table of mounts."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root can mount")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        raise unittest.SkipTest("no mount namespaces here")
    _command("mount", "--make-rprivate", "/")


class MountTest(TendTest):
    """What a test mounts is there until its daemon has ended."""

    @classmethod
    def setUpClass(cls):
        private_mounts()

    def setUp(self):
        self.mounted = []
        self.addCleanup(self._unmount)
        super().setUp()

    def _unmount(self):
        for path in reversed(self.mounted):
            subprocess.run(["umount", "--lazy", path], check=False)
        shutil.rmtree(self.tend.dir, ignore_errors=True)

    def tmpfs(self, path, size="256k"):
        Path(path).mkdir(parents=True, exist_ok=True)
        _command("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path)
        self.mounted.append(path)

    def bind(self, source, path, read_only=False):
        _command("mount", "--bind", source, path)
        self.mounted.append(path)
        if read_only:
            _command("mount", "-o", "remount,bind,ro", path)

    def ext4(self, path, image):
        """A file system of its own in a file, which break_ext4() can break."""
        for program in ("mkfs.ext4", "losetup"):
            self.need(program)
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        _command("mkfs.ext4", "-q", "-O", "^has_journal", image)
        Path(path).mkdir(parents=True, exist_ok=True)
        _command("mount", "-o", "loop", image, path)
        self.mounted.append(path)


def break_ext4(path):
    """As after a failure of the disk: read-only, and EIO for what is open."""
    _command("mount", "-o", "remount,abort", path)


def fill(folder):
    """Takes all that is left there; returns the file to be removed."""
    filler = Path(folder) / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


@contextlib.contextmanager
def refusing(test, pid, what, *options):
    """strace at the process while the block runs: refusing(self, pid, "clone3,clone:error=EAGAIN")."""
    test.need("strace")
    words = ["strace", "-qq", "-f", "-o", "/dev/null", "-p", str(pid), *options, "-e", f"inject={what}"]
    tracer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def attached():
            if tracer.poll() is not None:
                raise unittest.SkipTest("strace may not attach here")
            tasks = Path(f"/proc/{pid}/task")
            return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir())
        wait_for(attached, what="the tracer")
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(timeout=limit(10))


def limit_files(pid, count):
    """The soft limit alone: the hard one cannot be raised again everywhere."""
    _command("prlimit", "--pid", pid, f"--nofile={count}:")


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])
