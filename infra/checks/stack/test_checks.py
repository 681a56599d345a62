"""Each check of checks.py and rights.py, on the templates as they are."""

import unittest

import rights  # noqa: F401  registers its checks
from checks import CHECKS
from templates import all_templates


class Stacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.templates = all_templates()


for name, check in CHECKS.items():
    setattr(Stacks, f"test_{name}", lambda self, check=check: check(self.templates))


if __name__ == "__main__":
    unittest.main()
