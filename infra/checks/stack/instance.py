"""An instance to run user data on: a root folder of its own, no network, and programs that note how they were called.

The root has this machine's /usr (read-only) and fresh /etc, /opt, /run, /var and /tmp; `dnf aws docker systemctl curl` and
what else would change or ask the world are stand-ins. A stand-in answers as long as no fault is planted in it.
"""

import pathlib
import shutil
import subprocess
import tempfile

# What a stand-in does beyond noting its call. ${FAULT} names what must fail.
ANSWERS = {
    "curl": r'''
case "$*" in
*latest/api/token*) [ "$FAULT" != metadata ] || exit 22; echo token ;;
*meta-data/instance-id*) echo i-0123456789abcdef0 ;;
*target-lifecycle-state*) cat /var/target-lifecycle-state ;;
*truststore*) [ "$FAULT" != certificates ] || exit 22
    while [ "$1" != --output ]; do shift; done; echo certificate >"$2" ;;
*127.0.0.1:8080/readyz*) [ "$FAULT" != readiness ] || exit 22
    # Not at once: the store has to be reached first.
    echo x >>/var/asked; [ "$(wc -l </var/asked)" -ge 3 ] || exit 22 ;;
*) exit 7 ;;
esac''',
    "aws": r'''
case "$1 $2" in
"ecr get-login-password") [ "$FAULT" != registry ] || exit 255; echo login ;;
"secretsmanager get-secret-value") [ "$FAULT" != secrets ] || exit 255
    case "$*" in *Postgres*) cat /var/postgres-secret ;; *) echo redis0password ;; esac ;;
"elbv2 describe-target-health") [ "$FAULT" != target ] || { echo unhealthy; exit 0; }
    if [ "$(cat /var/target-lifecycle-state)" = Terminated ]; then
        echo x >>/var/leaving; [ "$(wc -l </var/leaving)" -ge 3 ] && echo draining || echo healthy; exit 0
    fi
    echo x >>/var/looked; [ "$(wc -l </var/looked)" -ge 2 ] && echo healthy || echo initial ;;
"autoscaling complete-lifecycle-action") [ -e /var/drained ] || exit 254
    echo x >>/var/completed; [ "$(wc -l </var/completed)" -ge 2 ] || exit 254 ;;
"autoscaling record-lifecycle-action-heartbeat") ;;
"cloudwatch put-metric-data") ;;
*) exit 252 ;;
esac''',
    "dnf": '[ "$FAULT" != packages ] || exit 1',
    "docker": r'''
case "$1" in
login) [ "$(cat)" = login ] || exit 1 ;;
pull) [ "$FAULT" != image ] || exit 1 ;;
run) [ "$FAULT" != epoch ] || exit 1 ;;
esac''',
    "systemctl": r'''
case "$*" in
"enable --now docker") [ "$FAULT" != docker ] || exit 1 ;;
"enable --now hubbub"*) [ "$FAULT" != units ] || exit 1; /opt/hubbub/secrets || exit 1 ;;
"stop hubbub") sleep 1; touch /var/drained ;;
esac''',
    "amazon-cloudwatch-agent-ctl": '[ "$FAULT" != agent ] || exit 1',
    "cfn-signal": "",
    "journalctl": "echo the log of the node",
    "chown": "",
    "shutdown": "",
}
STAND_IN = """#!/bin/bash
printf '%s %s\n' {name} "$*" >>/var/calls
{answer}
"""


class Instance:
    """One instance; close it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for place in ("usr", "etc/systemd/system", "opt/aws/bin", "run", "var", "tmp", "proc", "dev", "programs"):
            (self.root / place).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (self.root / link).symlink_to(f"usr/{link}")
        for name in ("ld.so.cache", "passwd", "group", "alternatives"):
            source = pathlib.Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, self.root / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, self.root / "etc" / name)
        for name, answer in ANSWERS.items():
            program = self.root / "programs" / name
            program.write_text(STAND_IN.format(name=name, answer=answer))
            program.chmod(0o755)
        # As on Amazon Linux.
        (self.root / "programs/cfn-signal").rename(self.root / "opt/aws/bin/cfn-signal")
        (self.root / "var/postgres-secret").write_text('{"username": "hubbub", "password": "it\'s \\"s3cret\\""}')
        (self.root / "var/target-lifecycle-state").write_text("InService")

    def run(self, program, fault="", timeout=60, **environment):
        """Runs a program of the instance, given as text, without pauses; its exit code and what it said."""
        script = self.root / "tmp/program"
        script.write_text(program)
        script.chmod(0o755)
        inside = " ".join(f"{key}='{value}'" for key, value in {"PATH": "/programs:/usr/bin:/usr/sbin", "FAULT": fault, "HOME": "/tmp", **environment}.items())
        ran = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c",
             f"mount --rbind /usr {self.root}/usr && mount --rbind /dev {self.root}/dev && mount -t proc proc {self.root}/proc && "
             f"exec chroot {self.root} /usr/bin/env -i {inside} /tmp/program"],
            capture_output=True, text=True, check=False, timeout=timeout)
        return ran.returncode, ran.stdout + ran.stderr

    def calls(self):
        calls = self.root / "var/calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def close(self):
        if self.root.exists():
            # A folder inside is closed to whom it does not belong to.
            subprocess.run(["chmod", "-R", "u+rwX", self.root], check=False)
        self.folder.cleanup()
