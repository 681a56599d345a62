"""compose.yaml: well formed, with every file that it mounts, and with settings that the programs take."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest
import urllib.error
import urllib.request

import yaml

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
COMPOSE = os.path.join(ROOT, "infra", "compose")
TOOLS = os.path.dirname(sys.executable)
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
sys.path.append(os.path.join(ROOT, "node", "tests", "clients"))

from node import Node  # noqa: E402


def run(*arguments, folder=ROOT, **options):
    return subprocess.run(arguments, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, **options)


def load(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return yaml.safe_load(file)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


class Compose(unittest.TestCase):
    def setUp(self):
        self.services = load("compose.yaml")["services"]
        self.nodes = {name: service for name, service in self.services.items() if "build" in service}

    def mounts(self, service):
        """Folder of the repository to folder of the container."""
        return dict(mount.split(":")[:2] for mount in self.services[service]["volumes"] if mount.startswith("./"))

    def test_it_is_well_formed(self):
        for arguments in (("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
                          ("yamllint", "--strict", "-c", "infra/checks/yamllint.yaml",
                           "compose.yaml", "infra/compose", "infra/observability")):
            checked = run(os.path.join(TOOLS, arguments[0]), *arguments[1:])
            self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertEqual(set(self.services), {"load-balancer", "node-a", "node-b", "postgres", "redis", "prometheus", "grafana"})

    def test_images_are_pinned_and_ports_are_open_on_this_machine_only(self):
        for name, service in self.services.items():
            if name not in self.nodes:
                self.assertRegex(service["image"], r"^docker\.io/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$")
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")

    def test_what_is_mounted_is_there_and_read_only(self):
        for name, service in self.services.items():
            for mount in service.get("volumes", []):
                if mount.startswith("./"):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, mount.split(":")[0])), f"{name}: {mount}")
                    self.assertTrue(mount.endswith(":ro"), f"{name}: {mount}")

    def test_nodes_take_their_settings(self):
        self.assertEqual(len(self.nodes), 2)
        for name, node in self.nodes.items():
            with self.subTest(node=name), tempfile.TemporaryDirectory() as folder:
                printed = run(os.environ["HUBBUB_TEST_NODE"], "config", folder=folder, env=node["environment"])
                self.assertEqual(printed.returncode, 0, printed.stdout)
                config = tomllib.loads(printed.stdout)
                self.assertEqual(config["node"]["name"], name)
                self.assertGreater(seconds(node["stop_grace_period"]), config["drain"]["seconds"] + 10)
                self.assertEqual((node["read_only"], node["cap_drop"]), (True, ["ALL"]))
                network = load("compose.yaml")["networks"]["default"]["ipam"]["config"][0]["subnet"]
                self.assertEqual(config["http"]["trusted_proxies"], [network])
        self.assertEqual({key: value for key, value in self.nodes["node-a"].items() if key != "environment"},
                         {key: value for key, value in self.nodes["node-b"].items() if key != "environment"})

    def test_prometheus_scrapes_the_nodes_and_has_the_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, inside in self.mounts("prometheus").items():
                shutil.copy(os.path.join(ROOT, path), os.path.join(folder, os.path.basename(inside)))
            checked = run("promtool", "check", "config", "prometheus.yml", folder=folder)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertRegex(checked.stdout, r"SUCCESS: \d\d rules found")
        [job] = load("infra/compose/prometheus.yml")["scrape_configs"]
        self.assertEqual(job["job_name"], "hubbub", "the alert rules go by it")
        self.assertEqual(job["static_configs"][0]["targets"], [f"{name}:9090" for name in self.nodes])

    def test_grafana_is_given_the_dashboard_and_where_its_numbers_are(self):
        mounts = self.mounts("grafana")
        [source] = load("infra/compose/grafana/datasources.yml")["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        self.assertTrue(source["isDefault"])
        [provider] = load("infra/compose/grafana/dashboards.yml")["providers"]
        dashboards = mounts["./infra/observability/grafana"]
        self.assertEqual(provider["options"]["path"], dashboards)
        home = self.services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertEqual(os.path.dirname(home), dashboards)
        self.assertIn(os.path.basename(home), os.listdir(os.path.join(ROOT, "infra", "observability", "grafana")))
        for path, inside in mounts.items():
            if path.endswith(".yml"):
                self.assertRegex(inside, r"^/etc/grafana/provisioning/(datasources|dashboards)/\w+\.yml$")


class LoadBalancer(unittest.TestCase):
    """Its configuration, with addresses of this machine in place of the containers' names."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hubbub-compose-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(os.path.join(COMPOSE, "haproxy.cfg"), encoding="utf-8") as file:
            self.config = file.read()

    def write(self, addresses):
        text = self.config
        for name, address in addresses.items():
            self.assertIn(name, text)
            text = text.replace(name, address)
        path = os.path.join(self.folder, "haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_it_is_valid_and_waits_longer_than_pings_are_apart(self):
        checked = run(HAPROXY, "-c", "-f", self.write({"node-a:8080": "127.0.0.1:1", "node-b:8080": "127.0.0.1:2"}))
        self.assertEqual((checked.returncode, re.findall("WARNING|ALERT", checked.stdout)), (0, []), checked.stdout)
        with open(os.path.join(ROOT, "protocol", "src", "limits.rs"), encoding="utf-8") as file:
            ping = int(re.search(r"HEARTBEAT_MS: u64 = ([\d_]+);", file.read())[1]) / 1000
        for timeout in ("client", "server", "tunnel"):
            self.assertGreater(seconds(re.search(rf"timeout {timeout} (\w+)", self.config)[1]), 2 * ping)

    def test_people_talk_through_it_to_both_nodes(self):
        common = [f"store.url={os.environ['HUBBUB_TEST_POSTGRES_URL']}", f"bus.url={os.environ['HUBBUB_TEST_REDIS_URL']}",
                  "auth.guests=true", "rooms.create_on_join=true"]
        nodes = []
        for name in ("a", "b"):
            os.mkdir(os.path.join(self.folder, name))
            nodes.append(Node(os.path.join(self.folder, name), *common))
            self.addCleanup(nodes[-1].kill)
        public, overview = free_port(), free_port()
        addresses = {"node-a:8080": nodes[0].address, "node-b:8080": nodes[1].address,
                     "bind :8080": f"bind 127.0.0.1:{public}", "bind :8404": f"bind 127.0.0.1:{overview}"}
        balancer = subprocess.Popen([HAPROXY, "-db", "-f", self.write(addresses)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(balancer.stdout.close)
        self.addCleanup(balancer.wait)
        self.addCleanup(balancer.terminate)
        deadline = time.monotonic() + 20
        while not self.answers(public):
            self.assertLess(time.monotonic(), deadline, "the load balancer does not find the nodes")
            time.sleep(0.05)
        talk = run(os.environ["HUBBUB_TEST_LOAD"], "smoke", f"--target=ws://127.0.0.1:{public}/ws", "--connections", "20", "--messages", "200")
        self.assertEqual(talk.returncode, 0, talk.stdout)
        with urllib.request.urlopen(f"http://127.0.0.1:{overview}/;csv", timeout=5) as answer:
            rows = [line.split(",") for line in answer.read().decode().splitlines()]
        total = rows[0].index("stot")
        shares = [int(row[total]) for row in rows if row[1] in ("node-a", "node-b")]
        print(f"compose: haproxy gave its nodes {shares} connections")
        self.assertTrue(all(share >= 8 for share in shares), shares)

    @staticmethod
    def answers(port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return json.load(answer)["status"] == "ready"
        except (urllib.error.URLError, ConnectionError):
            return False


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    unittest.main()
