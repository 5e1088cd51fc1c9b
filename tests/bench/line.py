"""The line between the clients and the server (`wire line`): started, set to a delay, read out."""

import json
import subprocess


class Line:
    def __init__(self, wire, server_port, rate=0):
        self.process = subprocess.Popen([wire, "line", str(server_port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self._say(f"rate {rate}")

    def _say(self, order):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def delay(self, milliseconds):
        self._say(f"delay {milliseconds}")

    def reset(self):
        self._say("reset")

    def counts(self):
        self._say("counts")
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
