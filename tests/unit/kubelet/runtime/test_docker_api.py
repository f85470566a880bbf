"""What is said to Docker's API and what its answers mean, without an engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubelet.runtime.configs import ContainerConfig, DnsConfig, Mount, PodRef, SandboxConfig, Security
from kubelet.runtime.docker import names
from kubelet.runtime.docker.bodies import Host, container_body, sandbox_body
from kubelet.runtime.docker.host import host_of, shares_mounts, visible_host
from kubelet.runtime.docker.parsing import (
    conflicting_container,
    container_status,
    engine_time,
    exit_reason,
    image_info,
    is_engine_trouble,
    runtime_event,
    sandbox_status,
    shown_image_id,
)
from kubelet.runtime.interface import LinuxUser, RuntimeInfo

REF = PodRef("uid-1", "default", "web")
ROOT = LinuxUser(0, 0, (0,))
CONFIG = ContainerConfig(REF, "app", "app:1", "sha256:1", attempt=2, spec_hash="h", grace_seconds=5, kind="init")


def test_names_and_labels_say_everything_about_a_container() -> None:
    assert names.container_name(REF, "app", 2) == "k8s_app_web_default_uid-1_2"
    assert names.sandbox_name(REF, 0) == "k8s_POD_web_default_uid-1_0"
    labels = names.container_labels("s", replace(CONFIG, annotations={"a": "b"}), ROOT)
    assert names.pod_of(labels) == REF
    assert (names.attempt_of(labels), names.kind_of(labels), names.grace_of(labels)) == (2, "init", 5)
    assert names.annotations_of(labels) == {"a": "b"}


def test_a_pods_own_labels_cannot_pass_for_the_kubelets() -> None:
    forged = {names.POD_UID: "other", names.TTY: "true", names.GRACE_SECONDS: "9", "app": "web"}
    labels = names.container_labels("s", replace(CONFIG, labels=forged, grace_seconds=None), ROOT)
    assert names.pod_of(labels).uid == "uid-1"
    assert names.grace_of(labels) is None
    assert names.TTY not in labels
    assert labels["app"] == "web"


def test_foreign_labels_are_read_without_failing() -> None:
    labels = {names.ATTEMPT: "x", names.KIND: "odd", names.GRACE_SECONDS: "-"}
    assert (names.attempt_of(labels), names.kind_of(labels), names.grace_of(labels)) == (0, "regular", None)


def test_a_sandbox_body() -> None:
    config = SandboxConfig(
        REF,
        hostname="web",
        dns=DnsConfig(("1.1.1.1",)),
    )
    body = sandbox_body(config, "pause:1", Host(min_oom_score_adj=0))
    host = body["HostConfig"]
    assert (body["Image"], body["Hostname"]) == ("pause:1", "web")
    assert (host["NetworkMode"], host["IpcMode"], host["OomScoreAdj"]) == ("none", "shareable", 0)
    assert (host["Dns"], host["DnsSearch"]) == (["1.1.1.1"], ["."])


def test_a_sandbox_holds_the_memory_volumes_of_its_pod() -> None:
    assert sandbox_body(SandboxConfig(REF), "pause:1", Host())["HostConfig"]["Mounts"] == []
    body = sandbox_body(SandboxConfig(REF, memory_volumes=("m1", "m2")), "pause:1", Host())
    mounts = [(mount["Type"], mount["Source"], mount["Target"]) for mount in body["HostConfig"]["Mounts"]]
    assert mounts == [("volume", "m1", "/volumes/m1"), ("volume", "m2", "/volumes/m2")]


def test_a_container_joins_its_sandbox() -> None:
    body = container_body("s1", replace(CONFIG, pid_mode="pod"), Host(), ROOT)
    host = body["HostConfig"]
    assert {host["NetworkMode"], host["IpcMode"], host["PidMode"]} == {"container:s1"}
    assert container_body("s1", CONFIG, Host(), ROOT)["HostConfig"]["PidMode"] == ""
    assert container_body("s1", replace(CONFIG, host_ipc=True), Host(), ROOT)["HostConfig"]["IpcMode"] == "host"


def test_command_and_args_are_entrypoint_and_cmd() -> None:
    bare = container_body("s", CONFIG, Host(), ROOT)
    assert "Entrypoint" not in bare
    assert "Cmd" not in bare
    both = container_body("s", replace(CONFIG, command=("run",), args=("-x",)), Host(), ROOT)
    assert (both["Entrypoint"], both["Cmd"]) == (["run"], ["-x"])


def test_mounts_are_binds_or_memory_volumes() -> None:
    mounts = (Mount("/a", "/host/a", read_only=True, propagation="HostToContainer"), Mount("/m", memory_volume="v"))
    config = replace(
        CONFIG, mounts=mounts, termination_message_path="/dev/log", termination_message_host_path="/pods/log"
    )
    bind, volume, log = container_body("s", config, Host(), ROOT)["HostConfig"]["Mounts"]
    assert (bind["Type"], bind["ReadOnly"], bind["BindOptions"]) == ("bind", True, {"Propagation": "rslave"})
    assert (volume["Type"], volume["Source"], volume["VolumeOptions"]) == ("volume", "v", {"NoCopy": True})
    assert (log["Source"], log["Target"], log["ReadOnly"]) == ("/pods/log", "/dev/log", False)


def test_a_container_runs_with_the_ids_that_were_decided() -> None:
    user = LinuxUser(5, 6, (6, 7, 8))
    body = container_body("s", CONFIG, Host(), user)
    assert (body["User"], body["HostConfig"]["GroupAdd"]) == ("5:6", ["7", "8"])
    assert names.user_of(body["Labels"]) == user
    assert names.user_of({}) is None


def test_privileged_on_a_restricted_host_is_all_it_grants() -> None:
    config = replace(CONFIG, security=Security(privileged=True))
    assert container_body("s", config, Host(), ROOT)["HostConfig"]["Privileged"] is True
    host = container_body("s", config, Host(missing_capabilities=("SYS_RESOURCE",)), ROOT)["HostConfig"]
    assert (host.get("Privileged"), host["CapAdd"], host["CapDrop"]) == (None, ["ALL"], ["SYS_RESOURCE"])
    assert host["SecurityOpt"] == ["seccomp=unconfined", "apparmor=unconfined"]
    assert host["MaskedPaths"] == []


def test_what_a_host_grants_follows_from_the_engines_capabilities() -> None:
    assert host_of("Name:\tdockerd\nCapBnd:\t000001ffffffffff\n", 40) == Host()
    restricted = host_of("CapBnd:\t000001fffeffffff\n", 40)
    assert restricted == Host(min_oom_score_adj=0, missing_capabilities=("SYS_RESOURCE",))
    assert host_of("CapBnd:\t0000003fffffffff\n", 37) == Host()  # a kernel that knows no later ones


def test_an_engine_out_of_sight_is_not_guessed_about(tmp_path: Path) -> None:
    assert visible_host(str(tmp_path / "none.sock")) is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "other.sock"))
        listener.listen()
        assert visible_host(str(tmp_path / "other.sock")) is None  # it is this process, no engine


LISTENER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a mount namespace: needs root")
@pytest.mark.parametrize(("prefix", "seen"), [((), True), (("unshare", "--mount"), False)])
def test_an_engine_in_another_mount_namespace_sees_no_mounts(
    tmp_path: Path, prefix: tuple[str, ...], seen: bool
) -> None:
    path = str(tmp_path / "engine.sock")
    assert not shares_mounts(path)
    command = [*prefix, sys.executable, "-c", LISTENER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ready\n"
        assert shares_mounts(path) is seen
        engine.communicate("")


@pytest.mark.parametrize(
    ("kernel", "sees_mounts", "can"),
    [("5.12.0-1", True, True), ("6.1", True, True), ("5.11.9", True, False), ("6.1", False, False), ("", True, False)],
)
def test_read_only_mounts_reach_down_on_newer_kernels(kernel: str, sees_mounts: bool, can: bool) -> None:
    info = RuntimeInfo("docker", "20.10", kernel_version=kernel, sees_mounts=sees_mounts)
    assert info.recursive_read_only is can


def test_what_the_host_lacks_is_told() -> None:
    lacking, whole = Host(missing_capabilities=("SYS_RESOURCE",)), Host(selinux=True)
    asked = Security(privileged=True, selinux=(("type", "spc_t"),))
    privileged, selinux = lacking.unmet(asked)
    assert "CAP_SYS_RESOURCE" in privileged
    assert "SELinux is not enabled" in selinux
    assert whole.unmet(asked) == lacking.unmet(Security()) == []


def test_labels_go_to_an_engine_that_knows_them() -> None:
    config = replace(CONFIG, security=Security(selinux=(("type", "spc_t"),)))
    assert "label=type:spc_t" in container_body("s", config, Host(selinux=True), ROOT)["HostConfig"]["SecurityOpt"]
    assert container_body("s", config, Host(), ROOT)["HostConfig"]["SecurityOpt"] == ["seccomp=unconfined"]


def test_pods_use_the_hosts_users_unless_they_ask_otherwise() -> None:
    remapped = Host(user_namespaces=True)
    for host_users, mode in ((True, "host"), (False, "")):
        sandbox = sandbox_body(SandboxConfig(REF, host_users=host_users), "pause:1", remapped)
        container = container_body("s", replace(CONFIG, host_users=host_users), remapped, ROOT)
        assert (sandbox["HostConfig"]["UsernsMode"], container["HostConfig"]["UsernsMode"]) == (mode, mode)
    assert sandbox_body(SandboxConfig(REF), "pause:1", Host())["HostConfig"]["UsernsMode"] == ""


def test_security_options_of_a_container() -> None:
    def options(**fields: Any) -> list[str]:
        config = replace(CONFIG, security=Security(**fields))
        found: list[str] = container_body("s", config, Host(), ROOT, seccomp_profile="{}")["HostConfig"]["SecurityOpt"]
        return found

    assert options() == ["seccomp=unconfined"]
    assert options(seccomp="RuntimeDefault", no_new_privileges=True) == ["no-new-privileges=true"]
    assert options(seccomp="Localhost/a.json", apparmor="Localhost/mine") == ["seccomp={}", "apparmor=mine"]


def listed(**fields: Any) -> dict[str, Any]:
    labels = names.container_labels("s1", CONFIG, ROOT)
    return {
        "Id": "c1",
        "Image": "app:1",
        "ImageID": "sha256:1",
        "State": "running",
        "Created": 100,
        "Labels": labels,
    } | fields


def inspected(**state: Any) -> dict[str, Any]:
    never = "0001-01-01T00:00:00Z"
    base = {"Status": "running", "ExitCode": 0, "Error": "", "StartedAt": never, "FinishedAt": never}
    return {"Created": "1970-01-01T00:01:40.5Z", "State": base | state}


def test_statuses_follow_the_engines_states() -> None:
    started = "1970-01-01T00:01:41.25Z"
    running = container_status(listed(), inspected(StartedAt=started), "img", "ignored")
    assert (running.state, running.created_at, running.started_at, running.finished_at) == ("running", 100.5, 101.25, 0)
    assert (running.attempt, running.kind, running.message, running.image_id) == (2, "init", "", "img")
    over = inspected(
        Status="exited", ExitCode=137, OOMKilled=True, StartedAt=started, FinishedAt="1970-01-01T00:02:00Z"
    )
    status = container_status(listed(), over, "img", "bye")
    assert (status.state, status.reason, status.exit_code, status.message) == ("exited", "OOMKilled", 137, "bye")
    assert status.finished_at == 120.0


def test_what_never_began_is_an_exited_container() -> None:
    failed = inspected(Status="created", ExitCode=127, Error="no such file")
    status = container_status(listed(State="created"), failed, "img", "")
    assert (status.state, status.reason, status.exit_code, status.message) == (
        "exited",
        "StartError",
        128,
        "no such file",
    )
    assert status.started_at == status.finished_at == status.created_at
    mount = container_status(listed(), inspected(Status="created", ExitCode=128, Error="bad mount"), "img", "")
    assert mount.reason == "ContainerCannotRun"


def test_trouble_of_the_engine_is_not_the_containers() -> None:
    trouble = 'connection error: desc = "transport: Error while dialing": unavailable'
    assert is_engine_trouble(trouble)
    details = inspected(Status="created", ExitCode=128, Error=trouble)
    assert container_status(listed(State="created"), details, "img", "").state == "created"
    assert not is_engine_trouble('exec: "x": executable file not found in $PATH: unknown')


def test_a_child_killed_for_memory_does_not_fail_the_container() -> None:
    assert exit_reason(0, oom_killed=True) == "Completed"
    assert exit_reason(1, oom_killed=False) == "Error"


def test_a_sandbox_needs_no_inspection() -> None:
    labels = names.sandbox_labels(SandboxConfig(REF, attempt=1))
    item = listed(Labels=labels, HostConfig={"NetworkMode": "none"})

    def addresses(_: str) -> tuple[str, ...]:
        return ("10.1.2.3",)

    status = sandbox_status(item, addresses)
    assert (status.ready, status.ips, status.attempt, status.host_network) == (True, ("10.1.2.3",), 1, False)
    assert sandbox_status(item | {"State": "exited"}, addresses).ips == ()
    assert sandbox_status(item | {"HostConfig": {"NetworkMode": "host"}}, addresses).ips == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
        ("1970-01-01T01:00:01.5+01:00", 1.5),
    ],
)
def test_docker_s_times_are_unix_seconds(text: str, seconds: float) -> None:
    assert engine_time(text) == pytest.approx(seconds, abs=1e-9)


def test_image_ids_are_shown_by_the_digest_of_the_named_repository() -> None:
    image = image_info(
        {
            "Id": "sha256:1",
            "RepoTags": ["app:1", "<none>:<none>"],
            "RepoDigests": ["other@sha256:" + "a" * 64, "app@sha256:" + "b" * 64],
            "Created": "1970-01-01T00:00:05Z",
            "Config": {"User": "1000:1000"},
        }
    )
    assert image.tags == ("docker.io/library/app:1",)
    assert (image.uid, image.created_at) == (1000, 5.0)
    assert shown_image_id(image, "app:1") == "docker.io/library/app@sha256:" + "b" * 64
    assert shown_image_id(replace(image, digests=()), "app:1") == "sha256:1"


def test_docker_s_events_are_starts_and_ends() -> None:
    attributes = names.container_labels("s", CONFIG, ROOT) | {"exitCode": "3"}
    event = runtime_event({"Action": "die", "timeNano": 1_500_000_000, "Actor": {"ID": "c1", "Attributes": attributes}})
    assert event is not None
    assert (event.type, event.pod_uid, event.container_name, event.time, event.exit_code) == (
        "die",
        "uid-1",
        "app",
        1.5,
        3,
    )
    assert runtime_event({"Action": "exec_start: sh", "Actor": {"ID": "c", "Attributes": attributes}}) is None
    assert runtime_event({"Action": "die", "Actor": {"ID": "foreign", "Attributes": {}}}) is None


def test_a_name_conflict_names_its_holder() -> None:
    holder = "ab" * 32
    assert conflicting_container(f'The container name "/x" is already in use by container "{holder}". Remove') == holder
    assert conflicting_container("something else") == ""
