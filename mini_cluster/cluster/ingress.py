"""The ingress controller, which runs on the machine itself: its address there is that of all Ingresses. Pure."""

from __future__ import annotations

from mini_cluster.cluster.component import Component, HttpProbe, Programs
from mini_cluster.cluster.layout import INGRESS_CONTROLLER, Layout
from mini_cluster.cluster.state import ClusterState

HEALTH_PORT = 10254


def ingress_controller(layout: Layout, state: ClusterState, programs: Programs, *, needs: tuple[str, ...]) -> Component:
    program = (
        programs.script(INGRESS_CONTROLLER),
        f"--kubeconfig={layout.component_kubeconfig(INGRESS_CONTROLLER)}",
        f"--bind-address={','.join(each.gateway for each in state.networks)}",
        f"--http-port={state.http_port}",
        f"--https-port={state.https_port}",
        f"--work-dir={layout.run / 'ingress'}",
        f"--health-address={state.gateway}",
        f"--health-port={HEALTH_PORT}",
        f"--log-file={layout.log(INGRESS_CONTROLLER)}",
    )
    return Component(INGRESS_CONTROLLER, program, HttpProbe(state.gateway, HEALTH_PORT, "/readyz"), needs=needs)
