"""What infra/README.md says of the stacks in tables is what the templates have."""

import re
import unittest

import checks
from templates import INFRA, STACKS, System, all_templates

README = (INFRA / "README.md").read_text() if (INFRA / "README.md").exists() else ""


def rows():
    """A line for each parameter that may be chosen, with the stacks that take it."""
    found = {}
    templates = all_templates()
    fed = set(System(templates).outputs)
    for name in STACKS:
        for key, parameter in templates[name].get("Parameters", {}).items():
            if key not in fed:
                found.setdefault(key, (parameter, []))[1].append(name)
    for key, (parameter, stacks) in sorted(found.items()):
        default = parameter.get("Default")
        shown = "must be given" if default is None else f"`{default}`" if default != "" else "none"
        yield f"| `{key}` | {shown} | {', '.join(stacks)} | {parameter['Description']} |"


class Readme(unittest.TestCase):
    def test_every_parameter(self):
        table = re.findall(r"^\| `[A-Z]\w+` \|.*\|.*\|.*\|$", README[README.index("## Parameters"):], re.M)
        self.assertEqual(table, list(rows()))

    def test_numbers_of_the_budget(self):
        """The timing that the text argues with is the templates'."""
        system = System(all_templates())
        target = system.properties("TargetGroup")
        (hook,) = system.properties("Group")["LifecycleHookSpecificationList"]
        idle = checks.attributes(system.properties("LoadBalancer"), "LoadBalancerAttributes")["idle_timeout.timeout_seconds"]
        delay = checks.attributes(target, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
        for what, number in (("ping", checks.ping_seconds()), ("idle timeout", idle), ("drain", checks.boot_setting("HUBBUB__DRAIN__SECONDS")),
                             ("deregistration delay", delay), ("heartbeat of the hook", hook["HeartbeatTimeout"])):
            self.assertRegex(README, rf"\| {what} \| {number} s \|")

    def test_files_exist(self):
        for path in re.findall(r"\]\(([\w./-]+)\)", README):
            self.assertTrue((INFRA / path).exists(), path)


if __name__ == "__main__":
    unittest.main()
