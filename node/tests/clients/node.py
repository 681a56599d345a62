"""A real node of the built program, on free ports, with nothing configured but a temporary folder."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request

STARTED_WITHIN_SECONDS = 30


class Node:
    def __init__(self, folder, *settings):
        program = os.environ.get("HUBBUB_TEST_NODE")
        if not program:
            raise RuntimeError("HUBBUB_TEST_NODE is not set; run this through scripts/test, which sets it")
        local = ["--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data-dir", folder]
        for setting in settings:
            local += ["--set", setting]
        # Its own configuration, not that of whoever runs the test.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HUBBUB_")}
        self.log = open(os.path.join(folder, "log"), "a+", encoding="utf-8")
        self.process = subprocess.Popen(
            [program, *local], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=self.log
        )
        try:
            self.address = self._address()
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    @property
    def url(self):
        return f"ws://{self.address}/ws"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def _address(self):
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on http://(\S+)\n", line)
        if not found:
            self.log.seek(0)
            raise RuntimeError(f"the node said {line!r} instead of its address:\n{self.log.read()}")
        return found[1]

    def _wait_until_ready(self):
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=5).close()
                return
            except urllib.error.URLError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the node is not ready after {STARTED_WITHIN_SECONDS} s") from error
                time.sleep(0.02)
