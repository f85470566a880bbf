"""The command lines of the cluster's processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mini_cluster.cluster.component import Programs
from mini_cluster.cluster.components import cluster_components
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import CloudState, ClusterState, EtcdPorts, HostGroup, Ports

STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 3, 4, (EtcdPorts(1, 2),)))


def test_the_scheduler_and_the_autoscaler_go_by_the_same_configuration(tmp_path: Path) -> None:
    layout, programs = Layout.of(tmp_path), Programs(Path("/bin"), "etcd", "dockerd", "nsenter")
    state = replace(STATE, cloud=CloudState(5, 6, (HostGroup("workers", 0, 1),)))

    def flags() -> dict[str, list[str]]:
        components = {item.name: item.program for item in cluster_components(layout, state, programs)}
        names = ("kube-scheduler", "cluster-autoscaler")
        return {name: [flag for flag in components[name] if flag.endswith("kube-scheduler.yaml")] for name in names}

    assert flags() == {"kube-scheduler": [], "cluster-autoscaler": []}
    file = layout.scheduler_config
    file.write_text("")
    assert flags() == {
        "kube-scheduler": [f"--config={file}"],
        "cluster-autoscaler": [f"--scheduler-config-file={file}"],
    }
