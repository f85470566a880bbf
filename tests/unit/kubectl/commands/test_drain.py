"""What `drain` does with each pod."""

from kubectl.cli.commandline import build_parser, load_commands
from kubectl.commands.cluster.drain import DrainVerdict, judge

PARSER = build_parser(load_commands([]))


def parse(*words):
    return PARSER.parse_args(list(words))


def test_drain_decides_pod_by_pod():
    args = parse("drain", "n")
    owned = {"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}
    daemon = {"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}
    local = {"volumes": [{"name": "v", "emptyDir": {}}]}
    assert judge({"metadata": owned, "spec": {}}, args) == DrainVerdict(goes=True)
    assert "no controller" in judge({"metadata": {}, "spec": {}}, args).blocked
    assert "local storage" in judge({"metadata": owned, "spec": local}, args).blocked
    assert "DaemonSet" in judge({"metadata": daemon, "spec": {}}, args).blocked
    assert judge({"metadata": {}, "spec": {}, "status": {"phase": "Succeeded"}}, args) == DrainVerdict(goes=True)
    assert not judge({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {}}, args).goes
    forced = parse("drain", "n", "--force", "--ignore-daemonsets", "--delete-emptydir-data")
    assert judge({"metadata": daemon, "spec": {}}, forced) == DrainVerdict(False, "ignoring DaemonSet-managed Pods")
    assert judge({"metadata": {}, "spec": local}, forced).goes
    assert "no controller" in judge({"metadata": {}, "spec": local}, forced).warning
