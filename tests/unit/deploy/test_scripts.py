"""The scripts of the set-up, with stand-ins for the programs that they call: what they say, and where the rest goes."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SCRIPTS = ("deploy", "mini_cluster/install.sh", ".ci/run", "docker-compose.yml", "Makefile")
LOCKS = ("requirements.lock", "pyproject.toml", "tests/clients.lock", "tests/compose.lock")
CHATTER = "WARNING: Location is ignored"


@dataclass
class Machine:
    """A copy of the scripts, and a PATH on which stand-ins come first."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / ".setup.log"

    def program(self, name: str, script: str) -> Path:
        """Puts a stand-in for `name` on PATH."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of the project; its standard output and error come together."""
        return subprocess.run(
            [self.folder / script, *arguments],
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in (*SCRIPTS, *LOCKS):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, target, ignore=shutil.ignore_patterns("*.whl"))
        else:
            shutil.copy2(PROJECT / name, target)
    (tmp_path / "bin").mkdir()
    return Machine(tmp_path)


def with_python(machine: Machine, pip: str) -> None:
    """Has a Python that makes a .venv whose pip is this script."""
    machine.program("fake-pip", pip)
    bin_folder = machine.folder / ".venv" / "bin"
    machine.program(
        "python3",
        f'[ "$2" = venv ] || exit 0; mkdir -p {bin_folder}; echo {CHATTER}; '
        f"ln -s {machine.folder}/bin/fake-pip {bin_folder}/pip; touch {bin_folder}/mini-cluster",
    )


def test_the_set_up_is_quiet(machine: Machine) -> None:
    with_python(machine, f"echo {CHATTER} >&2")
    done = machine.run("mini_cluster/install.sh")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == ["making .venv ()"]
    assert CHATTER in machine.log.read_text()


def test_a_set_up_that_fails_says_where_its_log_is_and_is_not_done(machine: Machine) -> None:
    with_python(machine, 'case "$*" in *requirements.lock*) echo no such wheel; exit 1;; esac')
    done = machine.run("mini_cluster/install.sh")
    assert done.returncode == 1
    assert f"failed; what it printed is in {machine.log}" in done.stdout
    assert "no such wheel" not in done.stdout
    assert "no such wheel" in machine.log.read_text()
    assert not (machine.folder / ".venv" / ".installed").exists()


def test_apt_s_chatter_goes_to_the_log(machine: Machine) -> None:
    machine.program("id", "echo 0")
    machine.program("apt-get", f'echo {CHATTER}; [ "$1" = update ]')
    for version in ("3", "3.11", "3.12", "3.13"):
        machine.program(f"python{version}", "exit 1")
    done = machine.run("mini_cluster/install.sh")
    assert done.returncode == 1
    assert "installing python3 python3-venv\nerror: `apt-get install" in done.stdout
    assert CHATTER not in done.stdout
    assert str(machine.log) in done.stdout


def test_without_root_the_tests_say_what_needs_it_and_what_does_not(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    done = machine.run(".ci/run")
    assert done.returncode == 1
    assert "sudo make test" in done.stdout
    assert "pytest tests/unit" in done.stdout


def test_without_root_the_demonstration_is_refused_before_anything_is_installed(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    machine.program("make", 'exec /usr/bin/make "$@"')
    done = machine.run("bin/make", "-C", str(machine.folder), "demo")
    assert done.returncode == 2
    assert "error: worker hosts need root: sudo make demo" in done.stdout
    assert not (machine.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("Bind for 127.0.0.1:6443 failed: port is already allocated", "echo API_PORT=7443 >>.env"),
        ("listen tcp4 127.0.0.1:6443: bind: address already in use", "echo API_PORT=7443 >>.env"),
        ("invalid pool request: Pool overlaps with other one on this address space", "echo SUBNET=172.31.241 >>.env"),
    ],
)
def test_what_is_in_compose_s_way_is_named_with_a_way_around_it(machine: Machine, error: str, advice: str) -> None:
    machine.program("docker", f'case "$*" in compose*" up "*) echo "{error}"; exit 1;; esac')
    done = machine.run("deploy/compose.sh", "up")
    assert done.returncode == 1
    assert error in done.stdout
    assert done.stdout.endswith(f"Choose another, and try again:\n  {advice}\n")


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "sudo"),
        ("Cannot connect to the Docker daemon", "systemctl start docker"),
    ],
)
def test_an_engine_that_can_t_be_used_is_explained(machine: Machine, problem: str, advice: str) -> None:
    machine.program("docker", f"echo {problem} >&2; exit 1")
    done = machine.run("deploy/compose.sh", "up")
    assert done.returncode == 1
    assert done.stdout.startswith("error: ")
    assert advice in done.stdout


def test_compose_leaves_the_kubeconfig_of_a_cluster_that_runs_in_its_folder(machine: Machine) -> None:
    machine.program("docker", f"echo $* >>{machine.folder}/calls")
    launcher = machine.folder / ".venv" / "bin" / "mini-cluster"
    launcher.parent.mkdir(parents=True)
    launcher.symlink_to(machine.program("mini-cluster", """echo '{\n  "up": true\n}'"""))
    done = machine.run("deploy/compose.sh", "up")
    assert done.returncode == 1
    assert "make down" in done.stdout
    assert "up" not in (machine.folder / "calls").read_text().split()


def test_each_image_is_built_once_and_quietly(machine: Machine) -> None:
    calls = machine.folder / "calls"
    machine.program(
        "docker",
        f'echo "$*" >>{calls}; case "$*" in *" build "*) echo {CHATTER};; *--services) echo worker-1;; '
        "*jsonpath*) echo True;; esac",
    )
    done = machine.run("deploy/compose.sh", "up")
    assert done.returncode == 0, done.stdout
    assert CHATTER not in done.stdout
    builds = [line.rpartition(" build ")[2] for line in calls.read_text().splitlines() if " build " in line]
    assert builds == ["etcd worker-1 setup"]
    assert any(line.endswith(" up -d --wait") for line in calls.read_text().splitlines())
    assert f"export KUBECONFIG={machine.folder}/.cluster/kubeconfig" in done.stdout


def test_scripts_can_be_run() -> None:
    for script in [*(PROJECT / "deploy").glob("*.sh"), PROJECT / ".ci" / "run"]:
        assert os.access(script, os.X_OK) == (script.name != "shell.sh"), script
        subprocess.run(["sh", "-n", script], check=True)
