"""Servers to be probed: prints "http <port>", "https <port>" (0 without openssl), "silent <port>", then serves until
its standard input ends."""

import http.server
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/status/"):
            self.answer(int(self.path[8:]), b"as you wish")
        elif self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/status/500")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/agent":
            self.answer(200, f"{self.headers['User-Agent']} {self.headers['Connection']}".encode())
        elif self.path == "/late-match":  # beyond what is looked at
            self.answer(200, b"x" * (64 << 10) + b"needle")
        elif self.path == "/edge-match":
            self.answer(200, b"x" * ((64 << 10) - 6) + b"needle")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"y" * 65536)
        elif self.path == "/nothing":
            self.close_connection = True
        elif self.path == "/head":  # an answer that is headers without end
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-More: " + b"z" * 1000 + b"\r\n")
        else:
            self.answer(200, b"all is well")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, *_):
        pass


def serve(wrap=None):
    server = Server(("127.0.0.1", 0), Handler)
    if wrap:
        server.socket = wrap(server.socket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def serve_tls(folder):
    key, cert = os.path.join(folder, "key"), os.path.join(folder, "cert")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                        "-subj", "/CN=nobody"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return serve(lambda s: context.wrap_socket(s, server_side=True))


def main():
    silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
    with tempfile.TemporaryDirectory() as folder:
        print("http", serve(), "https", serve_tls(folder), "silent", silent.getsockname()[1], flush=True)
        sys.stdin.read()


main()
