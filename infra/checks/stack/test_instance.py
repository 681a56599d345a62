"""What an instance does with its user data, from its start to its end, executed."""

import json
import os
import re
import subprocess
import unittest

import checks
from instance import Instance
from templates import INFRA, all_templates

FAULTS = ("metadata", "packages", "certificates", "docker", "registry", "image", "secrets", "agent", "units", "readiness", "target")
QUICK = {"HUBBUB_BOOT_PAUSE": "0", "HUBBUB_LIFECYCLE_PAUSE": "0.2", "HUBBUB_LIFECYCLE_SETTLE": "0.1"}


def user_data(**parameters):
    text = checks.user_data(all_templates(), **parameters)
    return re.sub(r"^([A-Z_]+)=\$\{([\w.]+)\}$", r"\1=\2", text, flags=re.M)


def impatient(text):
    """With limits of a second: what fails is not to be waited for."""
    return re.sub(r"^within \d+", "within 1", text, flags=re.M)


class Boot(unittest.TestCase):
    def setUp(self):
        self.instance = Instance()
        self.addCleanup(self.instance.close)

    def boot(self, fault="", text=None, **parameters):
        return self.instance.run(text or user_data(**parameters), fault, **QUICK)

    def signals(self):
        return [call for call in self.instance.calls() if call.startswith("cfn-signal")]

    def test_success_is_signalled_once_and_last(self):
        code, said = self.boot(NodeSettings="HUBBUB__AUTH__GUESTS=true HUBBUB__ROOMS__CREATE_ON_JOIN=true")
        self.assertEqual(code, 0, said)
        calls = self.instance.calls()
        self.assertEqual(self.signals(), ["cfn-signal -e 0 --stack hubbub-service --resource Group --region eu-west-1"])
        self.assertEqual(calls[-1], self.signals()[0])
        ready = [index for index, call in enumerate(calls) if "readyz" in call]
        healthy = [index for index, call in enumerate(calls) if "describe-target-health" in call]
        self.assertEqual((len(ready), len(healthy)), (3, 2), "it asks until the answer is good")
        self.assertLess(max(ready), min(healthy))
        self.assertIn("--targets Id=i-0123456789abcdef0", calls[healthy[0]])
        environment = (self.instance.root / "etc/hubbub/node.env").read_text()
        self.assertIn("\nHUBBUB__ROOMS__CREATE_ON_JOIN=true\n", environment)
        self.assertNotIn("s3cret", environment)
        self.assertEqual((self.instance.root / "run/hubbub/secret/store-password").read_text().strip(), "it's \"s3cret\"")
        self.assertEqual((self.instance.root / "run/hubbub/secret.env").read_text(), "HUBBUB__BUS__URL=rediss://node:redis0password@Redis.PrimaryEndPoint.Address:6379\n")
        for name in ("secret/store-password", "secret.env"):
            self.assertEqual((self.instance.root / "run/hubbub" / name).stat().st_mode & 0o777, 0o400, name)
        self.assertNotIn("s3cret", "\n".join(calls), "a password as an argument")
        agent = json.loads((self.instance.root / "etc/hubbub/agent.json").read_text())
        self.assertEqual(agent["logs"]["logs_collected"]["files"]["collect_list"][0]["log_group_name"], "SystemLogs")
        print("  boot: success is signalled with -e 0, after readiness and the target's health")

    def test_every_failure_is_signalled(self):
        for fault in FAULTS:
            with self.subTest(fault):
                self.instance.close()
                self.instance = Instance()
                code, said = self.boot(fault, impatient(user_data()))
                self.assertNotEqual(code, 0, said)
                self.assertEqual(self.signals(), ["cfn-signal -e 1 --stack hubbub-service --resource Group --region eu-west-1"], said)
        print(f"  boot: -e 1 for each of {', '.join(FAULTS)}")

    def test_one_command_in_place_of_a_node(self):
        """recovery/new-epoch: it runs, the machine goes, and nobody takes it for a node."""
        for fault in ("", "epoch"):
            self.instance.close()
            self.instance = Instance()
            self.boot(fault, user_data().replace("RESOURCE=Group\n", "RESOURCE=Group\nONE_OFF=new-epoch\n"))
            calls = self.instance.calls()
            (run,) = [call for call in calls if call.startswith("docker run")]
            self.assertTrue(run.endswith(" new-epoch"), run)
            self.assertEqual(calls[-1], "shutdown -h now")
            self.assertEqual([call for call in calls if call.startswith("cfn-signal") or "enable --now hubbub" in call], [])

    def test_a_boot_that_signals_too_early_is_found(self):
        """What the two tests above would say to scripts with the usual faults."""
        early = user_data().replace("within 180 ready\n", "").replace("within 240 healthy\n", "")
        self.boot(text=early)
        self.assertEqual([call for call in self.instance.calls() if "readyz" in call], [], "it no longer asks, and the order above is gone")
        self.instance.close()
        self.instance = Instance()
        self.boot("readiness", impatient(user_data()).replace("trap signal EXIT", ""))
        self.assertEqual(self.signals(), [], "without the trap nobody hears of a failure")

    def test_settings_are_what_the_node_takes(self):
        node = os.environ.get("HUBBUB_TEST_NODE")
        self.assertTrue(node, "HUBBUB_TEST_NODE is not set")
        self.boot(NodeSettings="HUBBUB__AUTH__GUESTS=true HUBBUB__ROOMS__CREATE_ON_JOIN=true")
        lines = [*(self.instance.root / "etc/hubbub/node.env").read_text().splitlines(), *(self.instance.root / "run/hubbub/secret.env").read_text().splitlines()]
        environment = dict(line.split("=", 1) for line in lines)
        # The file lies elsewhere here, and the names of hosts are none before the stack is made.
        environment["HUBBUB__STORE__PASSWORD_FILE"] = str(self.instance.root / "run/hubbub/secret/store-password")
        ran = subprocess.run([node, "config"], env={**environment, "PATH": ""}, capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for wanted in ("pool_size = 12", 'trusted_proxies = ["10.0.1.0/24", "10.0.2.0/24"]', 'name = "i-0123456789abcdef0"', "create_on_join = true"):
            self.assertIn(wanted, ran.stdout.replace("\n    ", "").replace(",\n]", "]"))


class Running(unittest.TestCase):
    def setUp(self):
        self.instance = Instance()
        self.addCleanup(self.instance.close)
        code, said = self.instance.run(user_data(), **QUICK)
        self.assertEqual(code, 0, said)

    def password(self):
        return (self.instance.root / "run/hubbub/secret/store-password").read_text().strip()

    def test_a_rotated_password_is_taken_over(self):
        secret = self.instance.root / "var/postgres-secret"
        refresh = "#!/bin/bash\n/opt/hubbub/secrets"
        before = (self.instance.root / "run/hubbub/secret/store-password").stat().st_ino
        self.assertEqual(self.instance.run(refresh)[0], 0)
        self.assertEqual((self.instance.root / "run/hubbub/secret/store-password").stat().st_ino, before, "the same is left alone")
        secret.write_text('{"password": "new"}')
        self.assertEqual(self.instance.run(refresh)[0], 0)
        self.assertEqual(self.password(), "new")
        for answer in ("", "{}", "no json"):
            secret.write_text(answer)
            self.assertNotEqual(self.instance.run(refresh)[0], 0, answer)
            self.assertEqual(self.password(), "new", f"{answer!r} has replaced the password")
        self.assertNotEqual(self.instance.run(refresh, fault="secrets")[0], 0)
        self.assertEqual(self.password(), "new")

    def test_the_end_is_awaited_drained_and_completed(self):
        state = self.instance.root / "var/target-lifecycle-state"
        told = "#!/bin/bash\n(sleep 1; echo -n Terminated >/var/target-lifecycle-state) &\nexec /opt/hubbub/lifecycle"
        state.write_text("InService")
        (self.instance.root / "var/calls").unlink()
        code, said = self.instance.run(told, **QUICK)
        self.assertEqual(code, 0, said)
        calls = self.instance.calls()
        stop = calls.index("systemctl stop hubbub")
        beats = [index for index, call in enumerate(calls) if "record-lifecycle-action-heartbeat" in call]
        done = [index for index, call in enumerate(calls) if "complete-lifecycle-action" in call]
        idle = calls[:min(stop, *beats)]
        self.assertGreater(len([call for call in idle if "target-lifecycle-state" in call]), 2, "it waits while nothing is wanted of it")
        self.assertTrue(len(beats) > 1 and max(beats) < min(done) and stop < min(done), calls)
        asked = [index for index, call in enumerate(calls) if "describe-target-health" in call]
        self.assertEqual(len(asked), 3, "it waits for the load balancer to let go")
        self.assertLess(max(asked), min(stop, *beats))
        self.assertEqual(len(done), 2, "refused once, it tries again")
        self.assertIn("--lifecycle-action-result CONTINUE --lifecycle-hook-name drain --auto-scaling-group-name hubbub-service --instance-id i-0123456789abcdef0", calls[done[-1]])
        print("  end of an instance: load balancer first, drain, heartbeats, completed")


class Metrics(unittest.TestCase):
    """instance/metrics against what a node says, and what becomes of it."""

    def put(self, instance, page):
        """What `metrics` puts when the node says `page`."""
        (instance.root / "var/page").write_text(page)
        code, said = instance.run("#!/bin/bash\nexec /opt/hubbub/metrics", HUBBUB_METRICS_SOURCE="file:///var/page")
        self.assertEqual(code, 0, said)
        (call,) = [call for call in instance.calls() if call.startswith("aws cloudwatch put-metric-data")][-1:]
        self.assertIn("--namespace Hubbub", call)
        return {one["MetricName"]: one for one in json.loads(call.split("--metric-data ")[1])}

    def test_what_is_put(self):
        instance = Instance()
        self.addCleanup(instance.close)
        self.assertEqual(instance.run(user_data(), **QUICK)[0], 0)
        page = "".join(f"# TYPE {name} {kind}\n{lines}\n" for name, kind, lines in (
            ("hubbub_connections", "gauge", "hubbub_connections 41"),
            ("hubbub_handshakes_refused_total", "counter", 'hubbub_handshakes_refused_total{reason="rate"} 3\nhubbub_handshakes_refused_total{reason="full"} 4'),
            ("hubbub_commit_seconds", "histogram", "\n".join((
                'hubbub_commit_seconds_bucket{le="0.001"} 10', 'hubbub_commit_seconds_bucket{le="0.01"} 12',
                'hubbub_commit_seconds_bucket{le="+Inf"} 12', "hubbub_commit_seconds_sum 0.1", "hubbub_commit_seconds_count 12")))))
        absent = sorted(checks.published() - {"hubbub_connections", "hubbub_handshakes_refused_total", "hubbub_commit_seconds"})
        page += "".join(f"# TYPE {name} gauge\n{name} 0\n" for name in absent)
        first = self.put(instance, page)
        self.assertEqual(first["hubbub_connections"]["Value"], 41)
        self.assertEqual(first["hubbub_connections"]["Dimensions"], [{"Name": "AutoScalingGroupName", "Value": "hubbub-service"}])
        self.assertNotIn("hubbub_handshakes_refused_total", first, "since when is not known")
        later = page.replace('"rate"} 3', '"rate"} 8').replace('"0.001"} 10', '"0.001"} 15').replace('"0.01"} 12', '"0.01"} 18').replace('"+Inf"} 12', '"+Inf"} 19')
        second = self.put(instance, later)
        self.assertEqual(second["hubbub_handshakes_refused_total"]["Value"], 5)
        self.assertEqual((second["hubbub_commit_seconds"]["Values"], second["hubbub_commit_seconds"]["Counts"]), ([0.001, 0.01, 0.02], [5, 1, 1]))
        again = self.put(instance, page)
        self.assertEqual(again["hubbub_handshakes_refused_total"]["Value"], 7, "a node that began anew counts from nothing")

    def test_the_node_has_every_metric(self):
        node = os.environ.get("HUBBUB_TEST_NODE")
        self.assertTrue(node, "HUBBUB_TEST_NODE is not set")
        import live

        with live.Node(node) as running:
            said = running.get("/metrics")
            missing = [name for name in checks.published() if f"# TYPE {name} " not in said]
            self.assertEqual(missing, [])
            smoke = subprocess.run([INFRA / "smoke", running.public], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "SMOKE_RETRIES": "0"})
            self.assertEqual(smoke.returncode, 0, smoke.stdout + smoke.stderr)
            print("  " + smoke.stdout.replace("\n", "\n  ").rstrip())
            nowhere = subprocess.run([INFRA / "smoke", running.private], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "SMOKE_RETRIES": "0"})
            self.assertEqual(nowhere.returncode, 1, "the private port serves no clients")


if __name__ == "__main__":
    unittest.main()
