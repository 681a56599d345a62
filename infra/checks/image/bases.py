"""Stand-ins for the base images, where no registry of images is reached.

The runtime is made of the packages that distroless takes from Debian. The builder is this machine's own compiler, linker and
Rust toolchain, mounted while it builds: copying them would take longer than the rest. The Dockerfile is the real one.
"""

import glob
import os
import shutil
import subprocess
import tempfile
import time

# Where images and containers are kept.
STORAGE = []
BUILDER = "localhost/hubbub-test/builder"
RUNTIME = "localhost/hubbub-test/runtime:latest"
# What gcr.io/distroless/base-nossl-debian12 is made of, beside the certificates.
RUNTIME_PACKAGES = ["base-files", "libc6", "netbase", "tzdata"]
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def run(*arguments, **options):
    ran = subprocess.run(arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {ran.returncode}:\n{ran.stdout}")
    return ran.stdout


def store_in(folder):
    """Keeps images and containers there, apart from those of whoever runs the tests."""
    STORAGE[:] = ["--root", os.path.join(folder, "storage"), "--runroot", os.path.join(folder, "run")]


def remove(folder):
    """Removes what was kept there. A build that was cut off leaves its storage mounted, and what podman does behind a
    container that has ended can mount it once more while this goes on."""
    deadline = time.monotonic() + 20
    while True:
        unmount(folder)
        try:
            shutil.rmtree(folder)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def unmount(folder):
    with open("/proc/mounts", encoding="utf-8") as file:
        mounted = [line.split()[1] for line in file]
    for path in sorted((path for path in mounted if path.startswith(folder + "/")), reverse=True):
        subprocess.run(["umount", "--lazy", path])


def make():
    """Makes both; gives the arguments that let a build use them."""
    with tempfile.TemporaryDirectory(prefix="hubbub-bases-") as folder:
        os.chmod(folder, 0o755)
        make_runtime(folder)
        builder = make_builder(folder)
    return ["--pull-never", "--build-arg", f"BUILDER_IMAGE={builder}", "--build-arg", f"RUNTIME_IMAGE={RUNTIME}", *mounts()]


def make_runtime(folder):
    packages, root = os.path.join(folder, "packages"), os.path.join(folder, "runtime")
    for path in (packages, root):
        os.mkdir(path)
    # Verified by apt, unpacked without their scripts, as distroless does.
    run("apt-get", "download", "--quiet", *RUNTIME_PACKAGES, cwd=packages)
    for package in glob.glob(os.path.join(packages, "*.deb")):
        run("dpkg-deb", "--extract", package, root)
    os.makedirs(os.path.join(root, "etc/ssl/certs"), exist_ok=True)
    shutil.copy(CERTIFICATES, os.path.join(root, CERTIFICATES[1:]))
    for name, lines in {
        "passwd": ["root:x:0:0:root:/root:/sbin/nologin", "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin",
                   "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin"],
        "group": ["root:x:0:", "nobody:x:65534:", "tty:x:5:", "staff:x:50:", "nonroot:x:65532:"],
        "nsswitch.conf": ["hosts: files dns"],
    }.items():
        with open(os.path.join(root, "etc", name), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    shutil.rmtree(os.path.join(root, "usr/share/doc"))
    archive = os.path.join(folder, "runtime.tar")
    run("tar", "--create", "--file", archive, "--directory", root, ".")
    run("podman", *STORAGE, "import", "--change", "USER 65532", archive, RUNTIME)


def make_builder(folder):
    # By the compiler's version: layers that were made with another one are not taken for its own.
    name = f"{BUILDER}:{run('rustc', '--version').split()[1]}"
    if subprocess.run(["podman", *STORAGE, "image", "exists", name]).returncode == 0:
        return name
    root, archive = os.path.join(folder, "builder"), os.path.join(folder, "builder.tar")
    # What is mounted, and what a system has beside it.
    for path in ("etc", "opt/cargo", "opt/toolchain", "root", "tmp", "usr", "var/tmp"):
        os.makedirs(os.path.join(root, path))
    for link in ("bin", "lib", "lib64", "sbin"):
        os.symlink(f"usr/{link}", os.path.join(root, link))
    run("tar", "--create", "--file", archive, "--directory", root, ".")
    environment = ("CARGO_HOME=/opt/cargo", "PATH=/opt/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    run("podman", *STORAGE, "import", *(part for each in environment for part in ("--change", f"ENV {each}")), archive, name)
    return name


def mounts():
    toolchain = run("rustc", "--print", "sysroot").strip()
    paths = {"/usr": "/usr", "/etc/alternatives": "/etc/alternatives", "/etc/ssl/certs": "/etc/ssl/certs", toolchain: "/opt/toolchain"}
    return [part for path, where in paths.items() for part in ("--volume", f"{path}:{where}:ro")]
