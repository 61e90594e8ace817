"""`tend serve`: real clients against the server of files."""

import contextlib
import gzip
import json
import os
import socket
import subprocess
import threading
import time
import unittest

from harness import TendTest, free_port, limit, wait_for


def reply_to(port, data, timeout=5):
    """What a raw request is answered with, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=limit(timeout)) as s:
        s.sendall(data)
        got = b""
        while chunk := s.recv(65536):
            got += chunk
        return got


class Reply:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


class ServeTest(TendTest):
    def setUp(self):
        super().setUp()
        self.need("curl")
        self.port = free_port()
        self.site = self.tend.work / "site"
        self.put("index.html", "<h1>home</h1>")

    def put(self, name, content="x"):
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def serve(self, *flags, path="site", env=None):
        return self.tend.ok("serve", path, self.port, "--host", "127.0.0.1", *flags, env=env)

    def get(self, path, *curl, port=None):
        done = subprocess.run(
            ["curl", "-s", "-i", "--path-as-is", "--max-time", str(int(limit(10))), *curl,
             f"http://127.0.0.1:{port or self.port}{path}"], stdout=subprocess.PIPE, check=True)
        return Reply(done.stdout)

    def raw(self, target, extra=b""):
        target = target if isinstance(target, bytes) else target.encode()
        return reply_to(self.port, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra + b"\r\n")


class Files(ServeTest):
    def test_a_file_is_sent_once_and_then_by_what_changed(self):
        self.put("app.3f9a2c1b.js", "let x = 1")
        self.serve()
        self.tend.wait_text(self.tend.out_log(f"static-page-server-{self.port}"),
                            f"Exposing {self.site} directory on 127.0.0.1:{self.port}")
        home = self.get("/")
        self.assertEqual((home.status, home.body), (200, b"<h1>home</h1>"))
        self.assertEqual(home.fields["content-type"], "text/html; charset=utf-8")
        self.assertEqual(home.fields["cache-control"], "no-cache")
        self.assertEqual(home.fields["x-content-type-options"], "nosniff")
        self.assertNotIn("access-control-allow-origin", home.fields)
        self.assertIn("immutable", self.get("/app.3f9a2c1b.js").fields["cache-control"])

        again = self.get("/", "-H", f"If-None-Match: {home.fields['etag']}")
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(again.fields["etag"], home.fields["etag"])
        dated = self.get("/", "-H", f"If-Modified-Since: {home.fields['last-modified']}")
        self.assertEqual(dated.status, 304)
        self.put("index.html", "<h1>other</h1>")
        time.sleep(0.15)  # for so long an answer may be sent again without a look
        changed = self.get("/", "-H", f"If-None-Match: {home.fields['etag']}")
        self.assertEqual((changed.status, changed.body), (200, b"<h1>other</h1>"))

        head = self.get("/", "--head")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.fields["content-length"], "14")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            refused = self.get("/", "-X", method)
            self.assertEqual((refused.status, refused.fields["allow"]), (405, "GET, HEAD"), method)
        self.assertEqual(self.get("/", "-d", "some=body").status, 405)

    def test_ranges_of_small_and_large_files(self):
        small, large = os.urandom(1000), os.urandom(3_000_000)
        self.put("small.bin", small)
        self.put("large.bin", large)
        self.serve()
        for name, data in (("small", small), ("large", large)):
            whole = self.get(f"/{name}.bin")
            self.assertEqual(whole.body, data)
            for spec, part in (("0-0", data[:1]), ("100-199", data[100:200]), ("-10", data[-10:]),
                               ("500-", data[500:]), (f"{len(data) - 1}-", data[-1:])):
                got = self.get(f"/{name}.bin", "-r", spec)
                self.assertEqual((got.status, got.body), (206, part), spec)
                self.assertTrue(got.fields["content-range"].endswith(f"/{len(data)}"))
            beyond = self.get(f"/{name}.bin", "-r", f"{len(data)}-")
            self.assertEqual((beyond.status, beyond.fields["content-range"]), (416, f"bytes */{len(data)}"))
            several = self.get(f"/{name}.bin", "-r", "0-1,4-5")
            self.assertEqual((several.status, several.body), (200, data))
            other = self.get(f"/{name}.bin", "-r", "0-1", "-H", 'If-Range: "other"')
            self.assertEqual(other.status, 200)
            same = self.get(f"/{name}.bin", "-r", "0-1", "-H", f"If-Range: {whole.fields['etag']}")
            self.assertEqual(same.status, 206)

    def test_compressed_siblings(self):
        text = "body{}" * 100
        self.put("a.css", text)
        self.put("a.css.gz", gzip.compress(text.encode()))
        self.put("a.css.br", b"as if brotli")
        self.serve()
        plain = self.get("/a.css")
        self.assertEqual((plain.body, plain.fields["vary"]), (text.encode(), "Accept-Encoding"))
        packed = self.get("/a.css", "-H", "Accept-Encoding: gzip, deflate")
        self.assertEqual((packed.fields["content-encoding"], gzip.decompress(packed.body)), ("gzip", text.encode()))
        self.assertEqual(packed.fields["content-type"], "text/css; charset=utf-8")
        better = self.get("/a.css", "-H", "Accept-Encoding: gzip, br")
        self.assertEqual((better.fields["content-encoding"], better.body), ("br", b"as if brotli"))
        self.assertEqual(len({r.fields["etag"] for r in (plain, packed, better)}), 3)
        refused = self.get("/a.css", "-H", "Accept-Encoding: br;q=0, gzip;q=0")
        self.assertNotIn("content-encoding", refused.fields)

    def test_no_way_out_of_the_folder(self):
        (self.tend.work / "secret").write_text("SECRET")
        self.put(".env", "SECRET")
        self.put(".git/config", "SECRET")
        self.put("sub/.hidden", "SECRET")
        self.put(".well-known/acme-challenge/token", "token")
        (self.site / "out").symlink_to("../secret")
        (self.site / "absolute").symlink_to("/etc/passwd")
        (self.site / "folder").symlink_to("/etc")
        (self.site / "inside").symlink_to("index.html")
        self.serve("--ftp", "--spa")
        for target in (b"/../secret", b"/../../../../etc/passwd", b"/%2e%2e/secret", b"/..%2fsecret", b"/sub/..%2f..%2fsecret",
                       b"/%2e%2e%2fsecret", b"/..%5csecret", b"/..\\secret", b"/.%00./secret", b"/index.html%00.js",
                       b"/.env", b"/%2eenv", b"/.git/config", b"/sub/.hidden", b"//../secret", b"/./../secret",
                       b"/out", b"/absolute", b"/folder/passwd", b"/folder/", b"/%c0%ae%c0%ae/secret", b"/%252e%252e/secret",
                       b"http://x/../secret", b"/..;/secret", b"/sub/../.env", b"/%", b"/%zz", b"*", b"secret"):
            got = self.raw(target)
            self.assertNotIn(b"SECRET", got, target)
            self.assertNotIn(b"root:", got, target)
            if b" 200 " in got.split(b"\r\n")[0]:
                self.assertIn(b"<h1>home</h1>", got, target)  # what an unknown path gives here
        for target in ("/../secret", "/%2e%2e/secret", "/out", "/folder/passwd"):
            self.assertEqual(self.get(target).status, 403, target)
        self.assertEqual(self.get("/.well-known/acme-challenge/token").body, b"token")
        self.assertEqual(self.get("/inside").body, b"<h1>home</h1>")
        self.assertIn(b" 301 ", self.raw(b"//sub").split(b"\r\n")[0])
        self.assertIn(b"\r\nLocation: /sub/\r\n", self.raw(b"//sub"))
        self.assertIn(b"\r\nLocation: /sub/?a=1&b=%2F+c\r\n", self.raw(b"/sub?a=1&b=%2F+c"))
        listing = self.get("/sub/").body
        self.assertNotIn(b"hidden", listing)

    def test_single_page_application_listing_and_404(self):
        self.put("404.html", "<p>gone</p>")
        self.put("js/app.js", "1")
        self.put("docs/index.html", "docs")
        self.put("pub/<b>&.txt", "odd")
        self.serve("--spa", "--ftp")
        self.assertEqual(self.get("/users/7").body, b"<h1>home</h1>")
        missing = self.get("/js/gone.js")
        self.assertEqual((missing.status, missing.body), (404, b"<p>gone</p>"))
        self.assertEqual(self.get("/docs/").body, b"docs")
        self.assertEqual(self.get("/docs").fields["location"], "/docs/")
        listing = self.get("/pub/").body
        self.assertIn(b"<title>Index of /pub/</title>", listing)
        self.assertIn(b'href="./%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>', listing)
        self.assertEqual(self.get("/pub/%3Cb%3E%26.txt").body, b"odd")


class Access(ServeTest):
    def test_a_name_and_a_password(self):
        self.serve("--basic-auth-username", "user", "--basic-auth-password", "pass word")
        refused = self.get("/")
        self.assertEqual((refused.status, refused.body), (401, b"401 Unauthorized"))
        self.assertEqual(refused.fields["www-authenticate"], 'Basic realm="Authentication service"')
        self.assertEqual(self.get("/", "-u", "user:wrong").status, 401)
        self.assertEqual(self.get("/", "-X", "POST").status, 401)
        self.assertEqual(self.get("/", "-u", "user:pass word").status, 200)

    def test_as_pm2_every_origin_may_read(self):
        (self.tend.bin / "pm2").symlink_to(self.tend_binary())
        home = self.tend.dir / "pm2"
        env = {**self.tend.env, "PM2_HOME": str(home)}
        pm2 = lambda *words: subprocess.run(["pm2", *words], cwd=self.tend.work, env=env, text=True, timeout=limit(30),
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            done = pm2("serve", "site", str(self.port))
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn(f"[PM2] Serving {self.site} on port {self.port}", done.stdout)
            record = json.loads(subprocess.run(["pm2", "jlist"], env=env, stdout=subprocess.PIPE, check=True).stdout)[0]
            self.assertEqual((record["name"], record["pm2_env"]["exec_mode"]),
                             (f"static-page-server-{self.port}", "fork_mode"))
            self.assertEqual(record["pm2_env"]["PM2_SERVE_PATH"], str(self.site))
            self.put("data.unknown")
            got = self.get("/data.unknown")
            self.assertEqual((got.fields["access-control-allow-origin"], got.fields["access-control-allow-methods"]),
                             ("*", "GET"))
            self.assertEqual(got.fields["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(pm2("serve", "site", str(self.port)).returncode, 1)
        finally:
            pm2("kill")

    @staticmethod
    def tend_binary():
        import harness
        return harness.BIN

    def test_the_access_log_is_written_when_asked_for(self):
        self.serve("--access-log", "--name", "site")
        self.get("/none?q=1")
        self.get("/")
        log = self.tend.wait_text(self.tend.out_log("site"), '"GET / HTTP/1.1" 200 13')
        self.assertIn('127.0.0.1 - - [', log)
        self.assertIn('"GET /none HTTP/1.1" 404 13', log)


class Settings(ServeTest):
    def test_what_is_wrong_is_told(self):
        cases = [(("serve", "nowhere"), f"path: found {self.tend.work}/nowhere, which is no folder"),
                 (("serve", "site", "70000"), "port: found 70000; accepted: 1..65535"),
                 (("serve", "site", "--port", "x"), "port: found x; accepted: 1..65535"),
                 (("serve", "site", "--basic-auth-username", "x"), "a name without a password"),
                 (("serve", "site", "--basic-auth-password", "x"), "a password without a name"),
                 (("serve", "site", str(self.port), "--host", "no.such.name"), "listen:"),
                 (("serve", "a", "b", "c"), "found 3 operands")]
        for words, text in cases:
            done = self.tend.run(*words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(text, done.stderr)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.tend.run("serve", "site", port, "--host", "127.0.0.1")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"127.0.0.1:{port}: Address already in use", done.stderr)

    def test_the_section_static_and_the_script_serve_of_a_file(self):
        ports = [free_port() for _ in range(3)]
        self.put("sub/index.html", "sub")
        path = self.tend.json_file("eco.config.json", {
            "apps": [{"name": "site", "script": "serve",
                      "env": {"PM2_SERVE_PORT": ports[0], "PM2_SERVE_PATH": "site", "PM2_SERVE_HOST": "127.0.0.1"}}],
            "static": [{"port": ports[1], "path": "site/sub", "host": "127.0.0.1"},
                       {"name": "guarded", "port": ports[2], "path": "site", "host": "127.0.0.1", "spa": True,
                        "instances": 2, "basic_auth": {"username": "u", "password": "p"}}]})
        self.tend.ok("start", path)
        self.assertEqual(self.get("/", port=ports[0]).body, b"<h1>home</h1>")
        self.assertEqual(self.get("/", port=ports[1]).body, b"sub")
        self.assertEqual(self.get("/x", port=ports[2]).status, 401)
        self.assertEqual(self.get("/x", "-u", "u:p", port=ports[2]).body, b"<h1>home</h1>")
        names = sorted(r["name"] for r in self.tend.jlist())
        self.assertEqual(names, ["guarded", "guarded", "site", f"static-page-server-{ports[1]}"])
        self.tend.ok("delete", path)
        self.assertEqual(self.tend.jlist(), [])
        bad = self.tend.json_file("bad.config.json", {"static": [{"path": "nowhere"}]})
        done = self.tend.run("start", bad)
        self.assertEqual(done.returncode, 1)
        self.assertIn("path: found", done.stderr)

    def test_it_is_saved_and_comes_back_as_it_was(self):
        self.serve("--name", "site")
        self.tend.ok("save")
        self.tend.ok("delete", "site")
        self.tend.ok("resurrect")
        self.tend.wait_status("site", "online")
        self.assertEqual(self.get("/").body, b"<h1>home</h1>")


class Lasting(ServeTest):
    def test_a_deployment_that_turns_the_link_is_served_at_once(self):
        self.put("v1/index.html", "one")
        self.put("v2/index.html", "two")
        current = self.tend.work / "current"
        current.symlink_to("site/v1")
        self.serve(path="current")
        self.assertEqual(self.get("/").body, b"one")
        fresh = self.tend.work / "fresh"
        fresh.symlink_to("site/v2")
        fresh.rename(current)
        wait_for(lambda: self.get("/").body == b"two", 2, "the new version")

    def test_a_reload_under_load_loses_no_request(self):
        self.put("big.bin", b"x" * 200_000)
        self.serve("-i", "2", "--name", "site")
        counts, failures, stop = [0] * 4, [], threading.Event()

        def client(number):
            # With keep-alive: a connection is used until the server says that it ends.
            s = None
            while not stop.is_set():
                try:
                    if s is None:
                        s = socket.create_connection(("127.0.0.1", self.port), timeout=limit(10))
                    target = b"/big.bin" if counts[number] % 5 == 0 else b"/"
                    s.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                    got = b""
                    while b"\r\n\r\n" not in got:
                        chunk = s.recv(65536)
                        if not chunk:
                            raise ConnectionError(f"no answer, got {got!r}")
                        got += chunk
                    reply = Reply(got)
                    left = int(reply.fields["content-length"]) - len(reply.body)
                    while left > 0:
                        chunk = s.recv(65536)
                        if not chunk:
                            raise ConnectionError("cut off")
                        left -= len(chunk)
                    if reply.status != 200:
                        raise ConnectionError(f"status {reply.status}")
                    counts[number] += 1
                    if reply.fields.get("connection") == "close":
                        s.close()
                        s = None
                except OSError as error:
                    failures.append(repr(error))
                    s = None
            if s is not None:
                s.close()

        clients = [threading.Thread(target=client, args=(n,)) for n in range(len(counts))]
        for c in clients:
            c.start()
        before = {r["pid"] for r in self.tend.jlist()}
        try:
            for _ in range(2):
                self.tend.ok("reload", "site")
        finally:
            stop.set()
            for c in clients:
                c.join()
        self.assertEqual(failures, [])
        self.assertGreater(min(counts), 20)
        self.assertFalse(before & {r["pid"] for r in self.tend.jlist()})

    def test_what_is_in_flight_is_finished_and_idle_connections_hold_nothing_up(self):
        data = os.urandom(20_000_000)
        self.put("large.bin", data)
        self.serve("--name", "site")
        idle = socket.create_connection(("127.0.0.1", self.port))
        slow = socket.create_connection(("127.0.0.1", self.port))
        slow.settimeout(limit(10))
        slow.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = slow.recv(100_000)
        stopping = self.tend.popen("stop", "site")
        wait_for(lambda: self.tend.status("site") == "stopping", what="stopping")
        while chunk := slow.recv(1_000_000):
            got += chunk
        self.assertEqual(Reply(got).body, data)
        out, err = stopping.communicate(timeout=limit(8))
        self.assertEqual(stopping.returncode, 0, out + err)
        idle.close()
        slow.close()

    def test_a_head_that_is_too_long_ends_its_connection_alone(self):
        self.serve()
        with contextlib.suppress(ConnectionResetError):  # it need not be read to its end
            got = reply_to(self.port, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
            self.assertIn(got.split(b"\r\n")[0].split()[1:2], ([b"431"], [b"413"], [b"414"], [b"400"]))
        self.assertEqual(self.get("/").status, 200)
        for junk in (b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 50 + b"GET"):
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
        self.assertEqual(self.get("/").status, 200)
        self.assertEqual(self.tend.app(f"static-page-server-{self.port}")["pm2_env"]["restart_time"], 0)

    def test_a_crash_is_no_more_than_a_pause(self):
        self.serve("--name", "site")
        pid = self.tend.app("site")["pid"]
        os.kill(pid, 9)
        self.assertEqual(self.get("/").body, b"<h1>home</h1>")  # waits in the socket, which is tend's
        self.assertNotEqual(self.tend.app("site")["pid"], pid)


if __name__ == "__main__":
    unittest.main()
