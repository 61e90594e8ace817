"""The channel of a Node app outlives the supervisor: nothing on it hangs, breaks or is torn when it is killed."""

import json
import os
import random
import signal
import time
import unittest

from harness import TendTest, alive, wait_for

# One handle after the other, each after the ACK of the one before; numbered messages between them.
APP = r"""const net = require('net'), fs = require('fs');
let sent = 0, heard = 0;
const server = net.createServer(() => {}).listen(0, '127.0.0.1', () => {
  function next() {
    const socket = net.connect(server.address().port, '127.0.0.1', () => {
      process.send({ type: 'number', data: ++sent }, () => {});
      process.send('handle', socket, (error) => {
        if (error) throw error;
        fs.writeFileSync('sent', String(sent));
        socket.destroy();
        setTimeout(next, Math.random() * 3);
      });
    });
    socket.on('error', () => {});
  }
  next();
});
process.on('message', (m) => {
  if (m.text.length !== m.size) throw new Error('torn');
  fs.writeFileSync('heard', String(++heard));
});
"""


class ChannelKill(TendTest):
    def number(self, name):
        return int(self.tend.read(name) or 0)

    def test_handles_and_messages_go_on_over_thirty_kills(self):
        self.need("node")
        self.tend.script("app.js", APP)
        self.tend.ok("start", "app.js")
        pid = self.tend.app("app")["pid"]
        self.tend.supervisor_may_die = True
        for kill in range(30):
            before = self.number("sent")
            text = "x" * random.randrange(1, 60_000)
            self.tend.ok("message", "app", json.dumps({"text": text, "size": len(text)}))
            supervisor = self.tend.pids()[0]
            time.sleep(random.random() / 200)
            os.kill(supervisor, signal.SIGKILL)
            # Node sends no second handle before the first one's ACK: that it goes on says that none is missing.
            wait_for(lambda: self.number("sent") > before + 2, 10, f"handles after kill {kill}")
            self.assertTrue(alive(pid), self.tend.read(self.tend.err_log("app")))
        wait_for(lambda: self.number("heard") == 30, what="the messages")
        self.assertEqual(self.tend.app("app")["pid"], pid)
        self.assertEqual(self.tend.read(self.tend.err_log("app")), "")


if __name__ == "__main__":
    unittest.main()
