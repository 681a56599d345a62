"""A real Prometheus on a free port, which scrapes nodes and evaluates the alert rules."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE_SECONDS = 30


class Prometheus:
    def __init__(self, folder, targets, rules):
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            # JSON is YAML.
            json.dump({
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [rules],
                "scrape_configs": [{"job_name": "hubbub", "static_configs": [{"targets": targets}]}],
            }, file)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.log = open(os.path.join(folder, "prometheus.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdout=self.log, stderr=subprocess.STDOUT,
        )
        try:
            # It listens before it answers.
            self.until(lambda: urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10).close() is None)
            self.until(lambda: len(self.ask("query", query='up == 1')["result"]) == len(targets))
        except BaseException:
            self.end()
            raise

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def ask(self, what, **parameters):
        url = f"http://{self.address}/api/v1/{what}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{what} {parameters}: {error.read().decode()}") from error

    def values(self, expression):
        """The values of all series that an expression gives now."""
        return [float(series["value"][1]) for series in self.ask("query", query=expression)["result"]]

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if condition():
                    return
            except (urllib.error.URLError, ConnectionError):
                pass  # It is not up yet.
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise RuntimeError(f"Prometheus did not come so far in {PATIENCE_SECONDS} s:\n{self.log.read()}")
            time.sleep(0.1)
