"""What users do with a cluster, end to end: real containers, real volumes, real packets."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap, container, deployment, pod, service, web_container

pytestmark = pytest.mark.cluster
AGES = [version for version in KUBECTLS if version] or [""]


@pytest.fixture
def kubectl(cluster: ClusterHandle, namespace: str, request: pytest.FixtureRequest) -> CommandLine:
    """The real kubectl of the machine, or that of the version that is the parameter, in the test's own namespace."""
    return CommandLine(cluster.kubeconfig, namespace, str(KUBECTLS[getattr(request, "param", "")]))


def fetch(url: str) -> str:
    """ "" where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def ready(mk: CommandLine, name: str) -> dict[str, object]:
    mk.run("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    return mk.get("pod", name)


def phase(mk: CommandLine, name: str) -> str:
    return str(mk.get("pod", name)["status"]["phase"])


def test_a_service_spreads_over_pods_on_both_hosts(cluster: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(deployment("web", 4, web_container()), service("web", type="NodePort"), pod("client"))
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    pods = {item["metadata"]["name"]: item["spec"]["nodeName"] for item in mk.items("pods", "-l", "app=web")}
    assert set(pods.values()) == {"worker-1", "worker-2"}
    spec = mk.get("service", "web")["spec"]
    for address in cluster.node_ips.values():
        url = f"http://{address}:{spec['ports'][0]['nodePort']}/cgi-bin/hostname"
        answered: set[str] = set()

        def all_answered(url: str = url, answered: set[str] = answered) -> bool:
            answered.add(fetch(url).strip())
            return answered - {""} == set(pods)

        eventually(all_answered, f"an answer of each pod at {url}")
    ready(mk, "client")
    request = f"printf 'GET /ok HTTP/1.0\\r\\n\\r\\n' | nc {spec['clusterIP']} 80"
    assert mk.run("exec", "client", "--", "sh", "-c", request).endswith("ok\n")


def test_a_service_without_endpoints_refuses_at_once(mk: CommandLine) -> None:
    mk.apply(service("empty"), pod("client"))
    ready(mk, "client")
    address = mk.get("service", "empty")["spec"]["clusterIP"]

    def refused() -> bool:
        done = mk.try_run("exec", "client", "--", "sh", "-c", f"echo | nc -w 5 {address} 80")
        return "refused" in done.stderr

    eventually(refused, "connection refused")


def test_configuration_reaches_environment_and_files_and_files_follow_changes(mk: CommandLine) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": {"word": "hush"}}
    env = [
        {"name": "PLAIN", "value": "$(WORD)-suffix"},
        {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
    ]
    env.insert(0, {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "word"}}})
    mounts = [{"name": "files", "mountPath": "/files"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "files", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]
    own = container(env=env, volumeMounts=mounts, resources={"limits": {"memory": "64Mi"}})
    mk.apply(configmap("settings", mode="slow"), secret, pod("reader", own, volumes=volumes))
    node = ready(mk, "reader")["spec"]["nodeName"]  # type: ignore[index]
    lines = mk.run("exec", "reader", "--", "env").splitlines()
    wanted = {"WORD=hush", "PLAIN=hush-suffix", "FROM_MAP=slow", f"NODE={node}", f"LIMIT={64 * 2**20}"}
    assert wanted <= set(lines)
    assert mk.run("exec", "reader", "--", "cat", "/files/mode") == "slow"
    mk.apply(configmap("settings", mode="fast"))
    eventually(lambda: mk.run("exec", "reader", "--", "cat", "/files/mode") == "fast", "the new value in the file", 90)
    stored = mk.get("secret", "secret")
    assert base64.b64decode(stored["data"]["word"]) == b"hush"
    assert "stringData" not in stored


def test_containers_of_a_pod_share_network_and_volumes(mk: CommandLine) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    writer = container("sh", "-c", "echo written > /shared/file; sleep 100000", volumeMounts=mounts, name="writer")
    server = web_container() | {"volumeMounts": mounts, "name": "server"}
    mk.apply(pod("pair", writer, server, volumes=[{"name": "shared", "emptyDir": {"medium": "Memory"}}]))
    ready(mk, "pair")
    assert mk.run("exec", "pair", "-c", "server", "--", "cat", "/shared/file") == "written\n"
    request = "printf 'GET /ok HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 8080"
    assert mk.run("exec", "pair", "-c", "writer", "--", "sh", "-c", request).endswith("ok\n")


def test_init_containers_run_in_order_and_a_failing_one_holds_the_pod(mk: CommandLine) -> None:
    mounts = [{"name": "log", "mountPath": "/log"}]
    inits = [
        container("sh", "-c", f"echo {name} >> /log/order", name=name, volumeMounts=mounts)
        for name in ("first", "second")
    ]
    volumes = [{"name": "log", "emptyDir": {}}]
    mk.apply(pod("ordered", container(volumeMounts=mounts), initContainers=inits, volumes=volumes))
    ready(mk, "ordered")
    assert mk.run("exec", "ordered", "--", "cat", "/log/order") == "first\nsecond\n"
    mk.apply(pod("held", initContainers=[container("sh", "-c", "exit 7", name="bad")]))

    def failing() -> bool:
        statuses = mk.get("pod", "held")["status"].get("initContainerStatuses") or [{}]
        state = (
            statuses[0].get("lastState", {}).get("terminated") or statuses[0].get("state", {}).get("terminated") or {}
        )
        return state.get("exitCode") == 7

    eventually(failing, "the init container's exit code in the status")
    assert phase(mk, "held") == "Pending"


@pytest.mark.parametrize(
    ("policy", "command", "wanted"),
    [("Never", "exit 0", "Succeeded"), ("Never", "exit 3", "Failed"), ("OnFailure", "exit 0", "Succeeded")],
)
def test_pods_that_end(mk: CommandLine, policy: str, command: str, wanted: str) -> None:
    mk.apply(pod("task", container("sh", "-c", command), restartPolicy=policy))
    eventually(lambda: phase(mk, "task") == wanted, wanted)


def test_a_crashing_container_backs_off(mk: CommandLine) -> None:
    mk.apply(pod("crash", container("sh", "-c", "echo dying; exit 1")))

    def backing_off() -> bool:
        status = mk.get("pod", "crash")["status"].get("containerStatuses") or [{}]
        return status[0].get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"

    eventually(backing_off, "CrashLoopBackOff")
    assert "CrashLoopBackOff" in mk.run("get", "pod", "crash")
    assert mk.run("logs", "crash", "--previous") == "dying\n"
    eventually(lambda: "Back-off restarting failed container" in mk.run("events", "--for", "pod/crash"), "an event")


def test_an_image_that_cannot_be_pulled(mk: CommandLine) -> None:
    mk.apply(pod("nowhere", container() | {"image": "127.0.0.1:5999/none:1"}))

    def reason() -> bool:
        status = mk.get("pod", "nowhere")["status"].get("containerStatuses") or [{}]
        return status[0].get("state", {}).get("waiting", {}).get("reason") == "ImagePullBackOff"

    eventually(reason, "ImagePullBackOff")


def test_probes_restart_and_take_out_of_service(mk: CommandLine) -> None:
    script = "touch /tmp/alive /tmp/ready; sleep 100000"
    alive = {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    is_ready = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    startup = {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 30}
    own = container("sh", "-c", script, livenessProbe=alive, readinessProbe=is_ready, startupProbe=startup)
    mk.apply(pod("probed", own), service("probed"))
    ready(mk, "probed")
    addresses = "jsonpath={.subsets[*].addresses[*].ip}"
    eventually(lambda: mk.run("get", "endpoints", "probed", "-o", addresses), "an endpoint")
    mk.run("exec", "probed", "--", "rm", "/tmp/ready")
    eventually(lambda: not mk.run("get", "endpoints", "probed", "-o", addresses), "no endpoint")
    mk.run("exec", "probed", "--", "rm", "/tmp/alive")
    eventually(lambda: mk.get("pod", "probed")["status"]["containerStatuses"][0]["restartCount"] == 1, "a restart")
    eventually(lambda: mk.run("get", "endpoints", "probed", "-o", addresses), "the endpoint again")


def test_termination_is_graceful(mk: CommandLine) -> None:
    term = "echo got TERM; until [ -e /tmp/go ]; do sleep 0.1; done; echo bye; exit 0"
    script = f"trap '{term}' TERM; echo up; while true; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    mk.apply(pod("polite", container("sh", "-c", script, lifecycle=hook), terminationGracePeriodSeconds=60))
    ready(mk, "polite")
    follow = subprocess.Popen(
        [mk.program, "-n", mk.namespace, "logs", "-f", "polite"],
        env={"KUBECONFIG": str(mk.kubeconfig), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout is not None
    assert follow.stdout.readline() == "up\n"
    mk.run("delete", "pod", "polite", "--wait=false")
    assert mk.get("pod", "polite")["metadata"]["deletionGracePeriodSeconds"] == 60
    mk.run("exec", "polite", "--", "touch", "/tmp/go")
    assert follow.stdout.read() == "hook\ngot TERM\nbye\n"
    assert follow.wait(timeout=60) == 0
    mk.run("wait", "--for=delete", "pod/polite", "--timeout=120s")


def test_logs_of_all_kinds(mk: CommandLine) -> None:
    mk.apply(pod("talker", container("sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; sleep 100000")))
    ready(mk, "talker")
    eventually(lambda: len(mk.run("logs", "talker").splitlines()) == 5, "five lines")
    assert mk.run("logs", "talker", "--tail=2") == "line 4\nline 5\n"
    assert mk.run("logs", "talker", "--since=1h") == mk.run("logs", "talker")
    first = mk.run("logs", "talker", "--timestamps").splitlines()[0]
    assert first.endswith(" line 1")
    assert first[:2] == "20"
    assert mk.run("logs", "talker", "--limit-bytes=6") == "line 1"
    assert mk.run("logs", "-l", "app=talker", "--prefix", "--tail=1") == "[pod/talker/app] line 5\n"


def test_exec_passes_streams_and_exit_codes(mk: CommandLine) -> None:
    mk.apply(pod("shell"))
    ready(mk, "shell")
    assert mk.run("exec", "-i", "shell", "--", "cat", stdin="over and out\n") == "over and out\n"
    done = mk.try_run("exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.returncode, done.stdout) == (42, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 42\n"
    large = "x" * 300_000
    assert mk.run("exec", "-i", "shell", "--", "cat", stdin=large) == large
    assert "not found" in mk.fails("exec", "shell", "-c", "other", "--", "true")
    missing = mk.try_run("exec", "shell", "--", "no-such-program")
    assert missing.returncode != 0


def test_resource_limits_and_security_reach_the_kernel(mk: CommandLine) -> None:
    limits = {"limits": {"memory": "48Mi", "cpu": "250m"}}
    secure = {"runAsUser": 1000, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    mk.apply(pod("bounded", container(resources=limits, securityContext=secure)))
    ready(mk, "bounded")
    assert "uid=1000" in mk.run("exec", "bounded", "--", "id")
    assert "Read-only" in mk.try_run("exec", "bounded", "--", "touch", "/file").stderr
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    found = mk.try_run("exec", "bounded", "--", "sh", "-c", read).stdout.split()
    assert str(48 * 2**20) in found


def test_what_fits_nowhere_stays_pending_and_says_why(mk: CommandLine) -> None:
    greedy = container(resources={"requests": {"cpu": "1000"}})
    mk.apply(pod("greedy", greedy), pod("picky", nodeSelector={"disk": "none"}))

    def message(name: str) -> str:
        found = mk.items("events", "--field-selector", f"involvedObject.name={name},reason=FailedScheduling")
        return str(found[0]["message"]) if found else ""

    eventually(lambda: message("greedy"), "an event about greedy")
    assert message("greedy").startswith("0/2 nodes are available: 2 Insufficient cpu.")
    eventually(lambda: message("picky"), "an event about picky")
    assert "2 node(s) didn't match Pod's node affinity/selector" in message("picky")
    assert phase(mk, "greedy") == "Pending"


def test_an_unsupported_volume_is_named_in_an_event(mk: CommandLine) -> None:
    own = container(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    mk.apply(pod("nfs", own, volumes=[{"name": "v", "nfs": {"server": "127.0.0.1", "path": "/"}}]))

    def message() -> str:
        found = mk.items("events", "--field-selector", "involvedObject.name=nfs,reason=FailedMount")
        return str(found[0]["message"]) if found else ""

    eventually(message, "a FailedMount event")
    assert "nfs" in message()


def test_rollouts_go_forward_back_and_pause(mk: CommandLine) -> None:
    def version(text: str) -> dict[str, object]:
        return deployment("web", 2, container(env=[{"name": "VERSION", "value": text}]))

    mk.apply(version("one"))
    assert "successfully rolled out" in mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    mk.apply(version("two"))
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    assert [line.split()[0] for line in mk.run("rollout", "history", "deployment/web").splitlines()[2:4]] == ["1", "2"]
    assert mk.run("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    template = mk.get("deployment", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["env"][0]["value"] == "one"
    mk.run("rollout", "pause", "deployment/web")
    assert "already paused" in mk.fails("rollout", "pause", "deployment/web")
    before = {item["metadata"]["name"] for item in mk.items("pods")}
    mk.apply(version("three"))
    mk.run(
        "wait",
        "--for=jsonpath={.status.observedGeneration}=" + str(mk.get("deployment", "web")["metadata"]["generation"]),
        "deployment/web",
    )
    assert {item["metadata"]["name"] for item in mk.items("pods")} == before
    mk.run("rollout", "resume", "deployment/web")
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    mk.run("rollout", "restart", "deployment/web")
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    mk.run("scale", "deployment/web", "--replicas=0")
    eventually(lambda: not mk.items("pods"), "no pods")


def test_draining_moves_pods_and_uncordon_lets_them_come_back(mk: CommandLine) -> None:
    mk.apply(deployment("web", 3, container()))
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    try:
        mk.run("drain", "worker-1", "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=120s")
        assert "SchedulingDisabled" in mk.run("get", "nodes")
        mk.run("rollout", "status", "deployment/web", "--timeout=120s")
        active = [item for item in mk.items("pods") if "deletionTimestamp" not in item["metadata"]]
        assert {item["spec"]["nodeName"] for item in active} == {"worker-2"}
    finally:
        assert mk.run("uncordon", "worker-1") == "node/worker-1 uncordoned\n"


def test_a_deleted_namespace_takes_everything_with_it(mk: CommandLine) -> None:
    mk.run("create", "namespace", f"{mk.namespace}-doomed")
    doomed = CommandLine(mk.kubeconfig, f"{mk.namespace}-doomed")
    doomed.apply(deployment("web", 2, container()), configmap("c", a="b"), service("web"))
    doomed.run("rollout", "status", "deployment/web", "--timeout=120s")
    assert doomed.get("serviceaccount", "default")
    assert "BEGIN CERTIFICATE" in doomed.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"]
    mk.run("delete", "namespace", doomed.namespace, "--timeout=120s")
    assert "not found" in mk.fails("get", "namespace", doomed.namespace)
    assert not json.loads(doomed.run("get", "all", "-o", "json"))["items"]


@pytest.mark.parametrize("kubectl", AGES[:1], indirect=True)
def test_each_host_has_a_pod_of_a_daemonset_also_through_an_update(mk: CommandLine, kubectl: CommandLine) -> None:
    own = {"containers": [web_container()], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": own}
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    mk.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec})
    assert "successfully rolled out" in kubectl.run("rollout", "status", "daemonset/agent", "--timeout=120s")

    def hosts() -> dict[str, str]:
        """The names of the pods, by host."""
        pods = mk.items("pods", "-l", "app=agent")
        return {item["spec"]["nodeName"]: item["metadata"]["name"] for item in pods}

    before = hosts()
    assert set(before) == {"worker-1", "worker-2"}
    kubectl.run("rollout", "restart", "daemonset/agent")
    assert "successfully rolled out" in mk.run("rollout", "status", "daemonset/agent", "--timeout=120s")
    after = hosts()
    assert set(after) == {"worker-1", "worker-2"}
    assert not set(before.values()) & set(after.values())
    assert "Desired Number of Nodes Scheduled: 2" in " ".join(mk.run("describe", "daemonset", "agent").split())


@pytest.mark.parametrize("kubectl", AGES[-1:], indirect=True)
def test_numbered_pods_find_their_data_again_and_know_each_other_by_number(
    mk: CommandLine, kubectl: CommandLine
) -> None:
    own = container(
        "sh", "-c", "[ -e /data/first ] || hostname > /data/first; sleep 100000",
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )  # fmt: skip
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    spec = {
        "replicas": 2,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [own], "terminationGracePeriodSeconds": 0},
        },
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    mk.apply({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    for each in (kubectl, mk):
        said = each.run("rollout", "status", "sts/db", "--timeout=120s")
        assert said.endswith("partitioned roll out complete: 2 new pods have been updated...\n")
    uid = mk.get("pod", "db-1")["metadata"]["uid"]
    assert mk.run("exec", "db-1", "--", "cat", "/data/first") == "db-1\n"
    kubectl.run("delete", "pod", "db-1")
    eventually(lambda: mk.get("pod", "db-1")["metadata"]["uid"] != uid, "a new pod of the same name")
    ready(mk, "db-1")
    assert mk.run("exec", "db-1", "--", "cat", "/data/first") == "db-1\n"
    kubectl.run("scale", "sts/db", "--replicas=1")
    eventually(lambda: len(mk.items("pods", "-l", "app=db")) == 1, "the end of the last pod")
    assert {item["metadata"]["name"] for item in mk.items("pvc")} == {"data-db-0", "data-db-1"}


def test_a_job_gives_up_when_an_index_fails_and_goes_after_its_time(mk: CommandLine) -> None:
    """Index 0 ends, index 1 fails for good, and index 2, which would run for ever, is stopped."""
    command = "case $JOB_COMPLETION_INDEX in 0) true;; 1) exit 42;; *) exec sleep 1000;; esac"
    pod_spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container(command=["sh", "-c", command])],
    }
    spec = {
        "completionMode": "Indexed",
        "completions": 3,
        "parallelism": 3,
        "backoffLimitPerIndex": 3,
        "maxFailedIndexes": 0,
        "ttlSecondsAfterFinished": 6,
        "podFailurePolicy": {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]},
        "template": {"spec": pod_spec},
    }
    mk.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "frames"}, "spec": spec})
    mk.run("wait", "--for=condition=Failed", "job/frames", "--timeout=120s")
    status = mk.get("job", "frames")["status"]
    assert (status["failedIndexes"], status["terminating"], status.get("active", 0)) == ("1", 0, 0)
    assert {each["reason"] for each in status["conditions"]} == {"MaxFailedIndexesExceeded"}
    assert status["failed"] + status.get("succeeded", 0) == 3
    assert not any(each["metadata"].get("finalizers") for each in mk.items("pods"))
    eventually(lambda: not mk.items("jobs") and not mk.items("pods"), "the Job and its pods are gone")
