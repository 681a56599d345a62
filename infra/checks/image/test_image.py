"""The image is built of the real Dockerfile and run as the stack runs it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import bases
from container import MEMORY_BYTES, Container, podman

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
sys.path.append(os.path.join(ROOT, "node", "tests", "clients"))

from client import Client, Json, MessagePack  # noqa: E402

IMAGE = "localhost/hubbub-test/node:latest"
LARGEST_IMAGE_BYTES = 40_000_000
# At rest, nobody connected.
LARGEST_MEMORY_BYTES = 64 << 20
# A build that is done in minutes. HUBBUB_IMAGE_RELEASE=1 builds what is shipped.
QUICK = {"OPT_LEVEL": "1", "CODEGEN_UNITS": "16", "LTO": "off", "DEBUG": "0"}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def build(context, *arguments):
    """Builds with the stand-ins, or with the bases that the Dockerfile names; gives what was said."""
    quick = [] if os.environ.get("HUBBUB_IMAGE_RELEASE") else [
        argument for key, value in QUICK.items() for argument in ("--build-arg", f"CARGO_PROFILE_RELEASE_{key}={value}")
    ]
    built = subprocess.run(
        ["buildah", *bases.STORAGE, "build", "--isolation", "chroot", "--network", "host", "--layers", "--format", "docker",
         "--build-arg", "REVISION=abc", "--build-arg", "CREATED=2026-01-02T03:04:05Z", "--build-arg", "SOURCE=https://example.org/hubbub",
         *quick, *arguments, context],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if built.returncode != 0:
        raise RuntimeError(f"the image cannot be built:\n{built.stdout[-6000:]}")
    return built.stdout


class Image(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        # A folder that is named is kept, and the next build is done sooner for it.
        kept = os.environ.get("HUBBUB_IMAGE_STORAGE")
        if not kept:
            folder = tempfile.mkdtemp(prefix="hubbub-image-", dir="/var/tmp")
            cls.addClassCleanup(bases.remove, folder)
        bases.store_in(kept or folder)
        begun = time.monotonic()
        cls.bases = [] if os.environ.get("HUBBUB_IMAGE_BASES") == "registry" else bases.make()
        made = time.monotonic()
        build(ROOT, "--tag", IMAGE, *cls.bases)
        print(f"image: bases {made - begun:.0f} s, build {time.monotonic() - made:.0f} s")
        cls.inspected = json.loads(podman("inspect", "--type", "image", IMAGE).stdout)[0]

    async def asyncSetUp(self):
        # Containers are waited for in between; nothing else runs in this loop.
        asyncio.get_running_loop().slow_callback_duration = 60

    def start(self, *arguments, **settings):
        container = Container(IMAGE, *arguments, **settings)
        self.addCleanup(container.remove)
        return container

    async def hello(self, container, codec, name):
        client, welcome = await Client.hello(f"ws://{container.public}/ws", codec, guest=name)
        self.addAsyncCleanup(client.close)
        self.assertEqual(welcome["op"], "welcome", welcome)
        return client

    def test_it_is_small_and_says_what_it_is(self):
        size, layers = self.inspected["Size"], self.inspected["RootFS"]["Layers"]
        print(f"image: {size / 1e6:.1f} MB in {len(layers)} layers")
        self.assertLess(size, LARGEST_IMAGE_BYTES)
        config = self.inspected["Config"]
        self.assertEqual(config["User"], "10001:10001")
        self.assertEqual(config["Entrypoint"], ["/usr/local/bin/node"])
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(self.inspected["Healthcheck"]["Test"], ["CMD", "/usr/local/bin/node", "healthcheck"])
        self.assertEqual(set(config["ExposedPorts"]), {"8080/tcp", "9090/tcp"})
        self.assertEqual(list(config["Volumes"]), ["/var/lib/hubbub"])
        version = re.search(r'^version = "(.+)"$', read("Cargo.toml"), re.MULTILINE)[1]
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
        expected = {"title": "Hubbub", "licenses": "Apache-2.0", "version": version, "revision": "abc",
                    "created": "2026-01-02T03:04:05Z", "source": "https://example.org/hubbub"}
        self.assertEqual({key: labels.get(key) for key in expected}, expected)

    def test_the_compiler_is_the_one_that_the_repository_names(self):
        channel = re.search(r'channel = "(.+)"', read("rust-toolchain.toml"))[1]
        bases_named = re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", read("Dockerfile"), re.MULTILINE)
        self.assertEqual([name for name, _ in bases_named], ["BUILDER_IMAGE", "RUNTIME_IMAGE"])
        for _, image in bases_named:
            self.assertRegex(image, r"^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$")
        self.assertIn(f"/rust:{channel}-", bases_named[0][1])

    def test_nothing_is_in_it_but_what_is_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            name = podman("create", IMAGE).stdout.strip()
            self.addCleanup(podman, "rm", "--force", "--volumes", name)
            archive = os.path.join(folder, "image.tar")
            podman("export", "--output", archive, name)
            paths = set(bases.run("tar", "--list", "--file", archive).split())
        for absent in ("bin/sh", "usr/bin/sh", "bin/bash", "usr/bin/apt-get", "usr/bin/dpkg", "src/Cargo.toml"):
            self.assertNotIn(absent, {path.removeprefix("./") for path in paths})
        self.assertFalse([path for path in paths if "libssl" in path or path.endswith((".rs", ".debug"))])

    async def test_it_serves_as_on_the_smallest_machine(self):
        container = self.start()
        container.until_ready()
        status = container.proc("status")
        self.assertRegex(status, r"Uid:\s+10001\s+10001\s+10001\s+10001\n")
        self.assertRegex(status, r"CapEff:\s+0+\n")
        self.assertRegex(status, r"NoNewPrivs:\s+1\n")
        self.assertRegex(container.proc("mountinfo"), r" / / ro,")
        self.assertEqual(int(container.cgroup("memory", "memory.limit_in_bytes", "memory.max")), MEMORY_BYTES)
        self.assertTrue(container.healthy())
        resident = container.resident_bytes()
        group = int(container.cgroup("memory", "memory.usage_in_bytes", "memory.current"))
        print(f"image: at rest {resident / 2**20:.1f} MiB resident, {group / 2**20:.1f} MiB in its control group, of 1 GiB")
        self.assertLess(resident, LARGEST_MEMORY_BYTES)

        self.assertIn("<title>", container.get("/")[1])
        self.assertEqual(container.get("/readyz", private=True)[0], 200)
        self.assertIn("hubbub_connections 0", container.get("/metrics", private=True)[1])
        ann, ben = await self.hello(container, Json, "Ann"), await self.hello(container, MessagePack, "Ben")
        for client in (ann, ben):
            self.assertEqual((await client.ask("join", room="lobby"))["op"], "ok")
        self.assertEqual((await ann.ask("send", room="lobby", cid="1", text="from a container"))["seq"], 1)
        self.assertEqual([event["text"] for event in await ben.knows(1)], ["from a container"])
        for line in container.log().splitlines():
            if not line.startswith(("listening on ", "private on ")):
                json.loads(line)

    async def test_sigterm_drains(self):
        container = self.start(DRAIN__SECONDS="20")
        container.until_ready()
        ann = await self.hello(container, Json, "Ann")
        podman("kill", "--signal", "TERM", container.name)
        await ann.until(lambda it: any(said["op"] == "goaway" and said["reason"] == "drain" for said in it.heard))
        self.assertEqual(container.get("/readyz")[0], 503)
        self.assertFalse(container.healthy())
        self.assertEqual(container.state()["Status"], "running", "somebody is still there")
        await ann.close()
        self.assertEqual(await asyncio.to_thread(container.until_ended), 0)

    def test_without_clients_stop_is_quick_and_what_was_written_stays_in_the_volume(self):
        container = self.start()
        container.until_ready()
        begun = time.monotonic()
        podman("stop", "--time", "20", container.name)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(container.state()["ExitCode"], 0)
        podman("start", container.name)
        container.until_ready()

    def test_it_is_not_healthy_without_its_store(self):
        container = self.start(STORE__URL="postgres://hubbub@127.0.0.1:1/hubbub")
        container.until(lambda: "listening on" in container.log())
        self.assertEqual(container.get("/readyz")[0], 503)
        self.assertFalse(container.healthy())

    def test_a_wrong_setting_is_named(self):
        container = self.start(DRAIN__SECONDS="soon")
        self.assertEqual(container.until_ended(), 2)
        self.assertIn("drain.seconds", container.log())

    def test_commands_follow_the_name_of_the_image(self):
        container = self.start("config")
        self.assertEqual(container.until_ended(), 0)
        self.assertIn('data_dir = "/var/lib/hubbub"', container.log())

    def test_a_change_of_the_sources_does_not_compile_the_dependencies_again(self):
        with tempfile.TemporaryDirectory() as folder:
            context = os.path.join(folder, "context")
            for name in (".dockerignore", "Cargo.lock", "Cargo.toml", "Dockerfile"):
                os.makedirs(context, exist_ok=True)
                shutil.copy(os.path.join(ROOT, name), context)
            for name in ("actors", "load-tests", "node", "protocol"):
                shutil.copytree(os.path.join(ROOT, name), os.path.join(context, name), ignore=shutil.ignore_patterns("target", "node_modules"))
            with open(os.path.join(context, "node", "src", "main.rs"), "a", encoding="utf-8") as file:
                file.write("// changed\n")
            said = build(context, "--target", "dependencies", *self.bases)
        self.assertNotIn("Compiling", said)
        self.assertIn("Using cache", said)


if __name__ == "__main__":
    unittest.main()
