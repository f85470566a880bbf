"""The metrics server, which stands beside the API server: that alone speaks to it. Pure."""

from __future__ import annotations

from mini_cluster.cluster.component import Component, OwnHttpsProbe, Programs
from mini_cluster.cluster.layout import METRICS_SERVER, Layout

PORT = 10250


def metrics_server(layout: Layout, programs: Programs, front_proxy: str, *, needs: tuple[str, ...]) -> Component:
    """`front_proxy` is the common name of the certificate by which the API server vouches for users."""
    program = (
        programs.script(METRICS_SERVER),
        f"--kubeconfig={layout.component_kubeconfig(METRICS_SERVER)}",
        f"--bind-address={layout.loopback}",
        f"--secure-port={PORT}",
        f"--tls-cert-file={layout.certificate(METRICS_SERVER)}",
        f"--tls-private-key-file={layout.private_key(METRICS_SERVER)}",
        f"--client-ca-file={layout.certificate('ca')}",
        f"--requestheader-client-ca-file={layout.certificate('front-proxy-ca')}",
        f"--requestheader-allowed-names={front_proxy}",
        f"--log-file={layout.log(METRICS_SERVER)}",
    )
    return Component(METRICS_SERVER, program, OwnHttpsProbe(layout.loopback, PORT, "/readyz"), needs=needs)
