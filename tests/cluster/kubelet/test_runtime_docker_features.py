"""What pods ask of their containers, seen from inside real ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from componentbase.clock import Clock
from kubelet.container.downward import NodeFacts
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.configs import DnsConfig, Mount, Resources, SandboxConfig, Security
from kubelet.runtime.docker.client import EngineClient
from kubelet.runtime.docker.runtime import DockerRuntime
from kubelet.runtime.docker.sessions import engine_log
from kubelet.runtime.interface import (
    ContainerStartError,
    EngineError,
    ImagePullError,
    LinuxUser,
    LogOptions,
    RuntimeUnavailable,
)
from kubelet.volume.manager import VolumeManager
from tests.kits.eventually import eventually_async
from tests.kits.machine.docker import USER_IMAGE, WorkerHost, open_runtime, worker_host
from tests.kits.node.kubelet import Events, Objects, image_manager, make_pod
from tests.kits.node.runtime_contract import OBEYS_TERM, PodInHand, new_pod

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerHost]:
    yield from worker_host("rt-features", tmp_path_factory.mktemp("rt"), subnet=212)


@pytest.fixture
async def runtime(host: WorkerHost) -> AsyncIterator[DockerRuntime]:
    async with open_runtime(host) as runtime:
        yield runtime


async def shell(pod: PodInHand, text: str, name: str = "probe", **fields: object) -> str:
    """What a container that runs `text` prints."""
    container_id = await pod.start("sh", "-c", text, name=name, **fields)
    over = await pod.ended(name)
    output = (await pod.output(container_id)).decode()
    assert over.exit_code == 0, output
    return output


async def test_environment_command_and_arguments(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    env = (("GREETING", "a b=c"), ("EMPTY", ""))
    assert await shell(pod, 'echo "$GREETING,$EMPTY,$FROM_IMAGE"', env=env) == "a b=c,,yes\n"
    assert await shell(pod, "pwd", name="dir", working_dir="/etc") == "/etc\n"
    # Arguments alone replace the image's CMD (there is no ENTRYPOINT).
    only_args = await pod.start(name="args", args=("echo", "from args"))
    await pod.ended("args")
    assert await pod.output(only_args) == b"from args\n"


async def test_hostname_dns_and_hosts_are_the_pods(runtime: DockerRuntime) -> None:
    config = SandboxConfig(
        pod=new_pod(),
        hostname="web-0",
        dns=DnsConfig(("10.96.0.10",), ("default.svc.cluster.local", "svc.cluster.local"), ("ndots:5",)),
        host_aliases=(("10.1.2.3", "db.example"),),
    )
    pod = await PodInHand.create(runtime, config)
    output = await shell(pod, "hostname; cat /etc/resolv.conf /etc/hosts")
    assert output.startswith("web-0\n")
    assert "nameserver 10.96.0.10" in output
    assert "search default.svc.cluster.local svc.cluster.local" in output
    assert "options ndots:5" in output
    assert "10.1.2.3\tdb.example" in output
    no_search = await PodInHand.create(runtime, SandboxConfig(pod=new_pod(), dns=DnsConfig(("1.2.3.4",))))
    assert "search" not in await shell(no_search, "cat /etc/resolv.conf")


async def test_limits_are_cgroup_limits(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    limits = Resources(
        cpu_shares=256,
        cpu_quota_us=50_000,
        cpu_period_us=100_000,
        memory_limit_bytes=64 << 20,
        oom_score_adj=900,
    )
    # The files of cgroup v1 or of v2, whichever this machine has.
    files = "cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes cpu.max memory.max"
    text = f"cd /sys/fs/cgroup; cat {files} 2>/dev/null; cat /proc/self/oom_score_adj"
    output = (await shell(pod, text, resources=limits)).split()
    assert output[-1] == "900"
    assert str(64 << 20) in output
    assert "50000" in output


async def test_a_container_runs_on_its_cpus_and_is_moved_to_others(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    *_, last = sorted(os.sched_getaffinity(0))
    allowed = [
        "sh",
        "-c",
        "while read name value; do [ $name != Cpus_allowed_list: ] || echo $value; done </proc/self/status",
    ]
    container_id = await pod.start(*OBEYS_TERM, resources=Resources(cpuset_cpus=str(last)))
    assert await runtime.exec_sync(container_id, allowed) == (0, f"{last}\n".encode(), b"")
    await runtime.update_container(container_id, Resources(cpuset_cpus="0"))
    assert await runtime.exec_sync(container_id, allowed) == (0, b"0\n", b"")


async def test_a_guaranteed_oom_score_works_wherever_the_host_allows_it(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    output = await shell(pod, "cat /proc/self/oom_score_adj", resources=Resources(oom_score_adj=-997))
    assert output in ("-997\n", "0\n")


async def test_more_memory_than_the_limit_is_an_oom_kill(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    hungry = "x=0123456789abcdef; while true; do x=$x$x; done"
    await pod.start("sh", "-c", hungry, resources=Resources(memory_limit_bytes=16 << 20))
    over = await pod.ended()
    assert (over.reason, over.exit_code) == ("OOMKilled", 137)


async def test_users_groups_and_capabilities(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    who = Security(run_as_user=1000, run_as_group=3000, supplemental_groups=(4000, 5000))
    assert await shell(pod, "id -u; id -g; id -G", security=who) == "1000\n3000\n3000 4000 5000\n"
    drop = Security(drop_capabilities=("ALL",), add_capabilities=("NET_BIND_SERVICE",))
    status = await shell(pod, "cat /proc/self/status", name="caps", security=drop)
    assert "CapEff:\t0000000000000400" in status
    quiet = await shell(pod, "cat /proc/self/status", name="nnp", security=Security(no_new_privileges=True))
    assert "NoNewPrivs:\t1" in quiet


async def test_a_status_tells_the_user(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    security = Security(run_as_user=1000, run_as_group=3000, supplemental_groups=(4000,), seccomp="RuntimeDefault")
    text = "id -u; id -g; id -G; cat /proc/self/status"
    output = await shell(pod, text, security=security)
    assert output.startswith("1000\n3000\n3000 4000\n")
    assert "Seccomp:\t2" in output
    assert (await pod.container("probe")).user == LinuxUser(1000, 3000, (3000, 4000))


async def test_what_the_machine_cannot_give_is_told(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    with pytest.raises(EngineError, match=r'cannot load seccomp profile ".*/none.json": open .*: no such file'):
        await pod.start("true", security=Security(seccomp="Localhost/none.json"))
    with pytest.raises(EngineError, match='RuntimeClass handler "" does not support user namespaces'):
        await runtime.create_sandbox(SandboxConfig(new_pod(), host_users=False))
    with pytest.raises(EngineError, match="unknown capability"):
        await pod.start("true", security=Security(add_capabilities=("FLY",)))
    if not (await runtime.unmet(Security(selinux=(("type", "spc_t"),)))):
        pytest.skip("SELinux is enabled")


async def test_a_group_alone_keeps_the_images_user(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    fields = {"image": USER_IMAGE, "image_ref": USER_IMAGE, "security": Security(run_as_group=3000)}
    config = replace(pod.config("sh", "-c", "id -u; id -g"), **fields)  # type: ignore[arg-type]
    container_id = await runtime.create_container(pod.sandbox_id, config)
    await runtime.start_container(container_id)
    await pod.ended()
    assert await pod.output(container_id) == b"1234\n3000\n"
    image = await runtime.image_status(USER_IMAGE)
    assert image is not None
    assert (image.user, image.uid) == ("app", None)


async def test_a_privileged_container_has_every_capability_the_host_grants(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    text = "cat /proc/self/status; touch /proc/sys/net/ipv4/ip_forward"
    status = await shell(pod, text, security=Security(privileged=True))
    capabilities = int(status.partition("CapEff:")[2].split()[0], 16)
    assert capabilities & (1 << 21), "CAP_SYS_ADMIN"


async def test_a_read_only_root_leaves_volumes_writable(runtime: DockerRuntime, tmp_path: Path) -> None:
    pod = await PodInHand.create(runtime)
    (tmp_path / "data").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "key").write_text("value")
    mounts = (
        Mount("/data", str(tmp_path / "data")),
        Mount("/config", str(tmp_path / "config"), read_only=True),
    )
    text = "touch /new 2>&1; touch /config/new 2>&1; touch /data/new; cat /config/key; exit 0"
    output = await shell(pod, text, mounts=mounts, security=Security(read_only_root_filesystem=True))
    assert output.count("Read-only file system") == 2
    assert output.endswith("value")
    assert (tmp_path / "data" / "new").exists()
    with pytest.raises(EngineError, match="bind source path does not exist"):
        await pod.start("true", name="bad", mounts=(Mount("/x", str(tmp_path / "absent")),))


async def test_containers_share_a_memory_volume(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    name = f"{pod.ref.uid}-shared"
    await runtime.create_memory_volume(name, 1 << 20, pod.ref)
    mounts = (Mount("/shared", memory_volume=name),)
    keeper = await pod.start(*OBEYS_TERM, name="keeper", mounts=mounts)
    await shell(pod, "echo hello > /shared/file", name="writer", mounts=mounts)
    text = "cat /shared/file; cat /proc/mounts"
    output = await shell(pod, text, name="reader", mounts=(replace(mounts[0], read_only=True),))
    assert output.startswith("hello\n")
    line = next(line for line in output.splitlines() if " /shared " in line)
    assert line.startswith("tmpfs /shared tmpfs ro,")
    assert "size=1024k" in line
    with pytest.raises(EngineError):
        await runtime.remove_memory_volume(name)
    for container in (await pod.status()).containers:
        await runtime.remove_container(container.id)
    await runtime.remove_memory_volume(name)
    assert keeper


async def test_a_memory_volume_keeps_its_files_while_no_container_runs(runtime: DockerRuntime) -> None:
    ref = new_pod()
    name = f"{ref.uid}-kept"
    await runtime.create_memory_volume(name, 1 << 20, ref)
    pod = await PodInHand.create(runtime, SandboxConfig(pod=ref, memory_volumes=(name,)))
    mounts = (Mount("/shared", memory_volume=name),)
    await pod.start("sh", "-c", "echo hello > /shared/file; exit 1", name="main", mounts=mounts)
    assert (await pod.ended()).exit_code == 1
    output = await shell(pod, "cat /shared/file", name="main", attempt=1, mounts=mounts)
    assert output == "hello\n"
    for container in (await pod.status()).containers:
        await runtime.remove_container(container.id)
    await runtime.remove_sandbox(pod.sandbox_id)
    await runtime.remove_memory_volume(name)
    assert name not in await runtime.memory_volumes()


async def test_a_followed_log_goes_on_across_rotations(runtime: DockerRuntime) -> None:
    """The engine renames the file of a log that has become 10 MB large."""
    pod = await PodInHand.create(runtime)
    count = 80_000
    text = f"x=$(printf %0200d 0); i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i $x; done"
    container_id = await pod.start("sh", "-c", text)
    output = b"".join([data async for data in runtime.logs(container_id, LogOptions(follow=True))])
    numbers = [int(line.partition(b" ")[0]) for line in output.splitlines()]
    assert numbers == list(range(1, count + 1))
    assert (await pod.output(container_id)) == output
    last = await pod.output(container_id, LogOptions(tail_lines=2))
    assert [line.partition(b" ")[0] for line in last.splitlines()] == [b"79999", b"80000"]


async def test_the_engine_gives_a_log_whose_files_are_out_of_sight(host: WorkerHost, runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    container_id = await pod.start("sh", "-c", "echo one; echo two >&2; exit 0")
    await pod.ended()
    client = EngineClient(host.endpoint)
    chunks = [data async for data in engine_log(client, container_id, LogOptions(follow=True), tty=False)]
    assert sorted(b"".join(chunks).splitlines()) == [b"one", b"two"]
    await client.close()


async def test_the_files_of_an_image_are_a_read_only_volume(runtime: DockerRuntime, tmp_path: Path) -> None:
    events = Events()
    images = PodImages(image_manager(runtime, events, Clock(), tmp_path), Objects(), events)
    volume = {"name": "v", "image": {"reference": "rt-test:1", "pullPolicy": "IfNotPresent"}}
    manager = VolumeManager(str(tmp_path), Objects(), runtime, images=images)
    mounted = (await manager.set_up(make_pod({"volumes": [volume]}), NodeFacts("n", (), {})))["v"]
    pod = await PodInHand.create(runtime)
    mounts = (Mount("/data", mounted.path, read_only=True),)
    output = await shell(pod, "ls /data/bin; touch /data/x 2>&1; /data/bin/cat 2>&1; exit 0", mounts=mounts)
    assert "cat\n" in output
    assert "Read-only file system" in output
    assert "ermission denied" in output


async def test_containers_share_network_and_ipc_but_not_processes(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    text = "stat -L -c %i /proc/self/ns/net /proc/self/ns/ipc; stat -L -c %i /proc/self/ns/pid"
    first = (await shell(pod, text, name="a")).split()
    second = (await shell(pod, text, name="b")).split()
    assert first[:2] == second[:2]
    assert "sleep 1000" not in await shell(pod, "ps -e -o args", name="ps")


async def test_a_shared_process_namespace_has_pause_as_process_one(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime, SandboxConfig(pod=new_pod()))
    await pod.start(*OBEYS_TERM, pid_mode="pod")
    # The orphan that `sh` leaves behind is collected by pause: no zombie stays.
    output = await shell(pod, "(sleep 0.05 &) ; sleep 0.3; ps -e -o pid,stat,args", name="ps", pid_mode="pod")
    lines = output.splitlines()
    assert any(line.split()[0] == "1" and "/pause" in line for line in lines)
    assert "sleep 1000" in output
    assert not [line for line in lines if line.split()[1].startswith("Z")]


async def test_host_namespaces(runtime: DockerRuntime, host: WorkerHost) -> None:
    config = SandboxConfig(pod=new_pod(), host_network=True, host_pid=True, host_ipc=True)
    sandbox = await runtime.create_sandbox(config)
    assert (sandbox.ips, sandbox.host_network) == ((), True)
    pod = PodInHand(runtime, config.pod, sandbox.id)
    text = "for n in net pid ipc uts; do stat -L -c %i /proc/self/ns/$n; done; hostname"
    inside = (await shell(pod, text, host_network=True, host_ipc=True, pid_mode="host")).split()
    outside = host.run("sh", "-c", text).split()
    assert inside == outside


async def test_sysctls_of_the_pod(runtime: DockerRuntime) -> None:
    sysctls = {"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shm_rmid_forced": "1"}
    pod = await PodInHand.create(runtime, SandboxConfig(pod=new_pod(), sysctls=sysctls))
    text = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced"
    assert await shell(pod, text) == "0\n1\n"


async def test_the_termination_message_comes_from_its_file(runtime: DockerRuntime, tmp_path: Path) -> None:
    pod = await PodInHand.create(runtime)
    file = tmp_path / "containers" / "main" / "0"
    await pod.start(
        "sh",
        "-c",
        "echo to the log; echo bye > /dev/termination-log; exit 2",
        termination_message_path="/dev/termination-log",
        termination_message_host_path=str(file),
        termination_message_policy="FallbackToLogsOnError",
        security=Security(run_as_user=1000),
    )
    assert (await pod.ended()).message == "bye\n"


async def test_a_localhost_seccomp_profile_is_enforced(runtime: DockerRuntime, host: WorkerHost) -> None:
    profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["uname"],"action":"SCMP_ACT_ERRNO"}]}'
    (host.folder / "no-uname.json").write_text(profile)
    pod = await PodInHand.create(runtime)
    security = Security(seccomp="Localhost/no-uname.json")
    assert "Seccomp:\t2" in await shell(pod, "cat /proc/self/status", security=security)
    assert "Seccomp:\t0" in await shell(pod, "cat /proc/self/status", name="free")
    default = Security(seccomp="RuntimeDefault")
    assert "Seccomp:\t2" in await shell(pod, "cat /proc/self/status", name="default", security=default)
    with pytest.raises(EngineError, match="seccomp"):
        await pod.start("true", name="bad", security=Security(seccomp="Localhost/absent.json"))


async def test_a_terminal_has_one_stream_and_a_size(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    container_id = await pod.start(*OBEYS_TERM)
    session = await runtime.exec_stream(container_id, ["sh"], tty=True, stdin=True)
    await session.resize(101, 33)
    await session.write(b"test -t 0 && echo on-a-$((1+0))-tty >&2; exit 6\n")
    chunks = [chunk async for chunk in session.output()]
    assert b"on-a-1-tty" in b"".join(data for _, data in chunks)
    assert {stream for stream, _ in chunks} == {"stdout"}
    assert await session.exit_code() == 6
    await session.close()


async def test_attach_reaches_the_containers_own_stdin(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    container_id = await pod.start("cat", stdin=True, stdin_once=True)
    session = await runtime.attach(container_id, stdin=True)
    await session.write(b"through\n")
    await session.close_stdin()
    assert [chunk async for chunk in session.output()] == [("stdout", b"through\n")]
    assert await session.exit_code() is None
    await session.close()
    assert (await pod.ended()).exit_code == 0
    assert await pod.output(container_id) == b"through\n"


async def test_a_timed_out_command_does_not_stay_in_the_container(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    container_id = await pod.start(*OBEYS_TERM)
    with pytest.raises(TimeoutError):
        await runtime.exec_sync(container_id, ["sleep", "777"], 0.3)

    async def gone() -> bool:
        return b"sleep 777" not in (await runtime.exec_sync(container_id, ["ps", "-e", "-o", "args"]))[1]

    await eventually_async(gone)


async def test_what_the_host_grants_is_the_same_seen_or_tried(runtime: DockerRuntime) -> None:
    assert await runtime._tried_host() == await runtime._learnt_host()


async def test_another_kubelet_adopts_what_runs(runtime: DockerRuntime, host: WorkerHost) -> None:
    pod = await PodInHand.create(runtime)
    await pod.start(*OBEYS_TERM, attempt=3, spec_hash="h1", grace_seconds=7)
    before = await pod.status()
    other = DockerRuntime(host.endpoint, host.network())
    assert await other.pod(pod.ref.uid) == before
    await other.close()


async def test_a_pull_from_a_registry_that_is_not_there(runtime: DockerRuntime) -> None:
    with pytest.raises(ImagePullError, match="connection refused"):
        await runtime.pull_image("127.0.0.1:5999/none:1")


async def test_containers_and_their_exit_codes_survive_a_crash_of_the_engine(
    runtime: DockerRuntime, host: WorkerHost
) -> None:
    pod = await PodInHand.create(runtime)
    stays = await pod.start(*OBEYS_TERM, name="stays")
    await pod.start("sh", "-c", "sleep 0.5; exit 3", name="ends")
    before = await pod.container("stays")
    events = await runtime.events()
    host.kill_engine()
    try:
        with pytest.raises(RuntimeUnavailable):
            await anext(aiter(events))
        for call in (runtime.pods(), runtime.info(), runtime.start_container(stays), runtime.events()):
            with pytest.raises(RuntimeUnavailable):
                await call
        with pytest.raises(RuntimeUnavailable):
            await anext(aiter(runtime.logs(stays, LogOptions())))
    finally:
        await asyncio.to_thread(host.start_engine)
    assert (await pod.ended("ends")).exit_code == 3
    assert await pod.container("stays") == before
    assert (await pod.status()).sandboxes[0].ready
    assert (await runtime.exec_sync(stays, ["true"]))[0] == 0


async def test_a_container_cannot_start_without_its_sandbox(runtime: DockerRuntime) -> None:
    pod = await PodInHand.create(runtime)
    container_id = await runtime.create_container(pod.sandbox_id, pod.config(*OBEYS_TERM))
    await runtime.stop_sandbox(pod.sandbox_id)
    with pytest.raises(ContainerStartError) as caught:
        await runtime.start_container(container_id)
    assert caught.value.reason == "ContainerCannotRun"


async def test_a_failure_leaves_what_the_host_has(host: WorkerHost, runtime: DockerRuntime, tmp_path: Path) -> None:
    await PodInHand.create(runtime)
    host.collect_evidence(tmp_path)
    text = (tmp_path / "host.txt").read_text()
    assert "k8s_POD_" in text
    assert f"inet 10.244.{host.subnet}.1/24" in text
    assert "containerd" in (tmp_path / "dockerd.log").read_text()
