"""Makes the network of pods that the command line asks for."""

from __future__ import annotations

import os
import shutil

from componentbase.daemon import FatalError
from kubelet.network.bridge import Bridge
from kubelet.network.cni.plugins import CniPlugins
from kubelet.network.plug import Plug
from kubelet.network.pod_network import PodNetwork
from kubelet.options import Options

FOLDER = "network"
PROGRAMS = ("ip", "nsenter")


def pod_network(options: Options) -> PodNetwork:
    """Raises: FatalError."""
    if missing := [name for name in PROGRAMS if not options.cni_conf_dir and shutil.which(name) is None]:
        raise FatalError(f"not on PATH: {', '.join(missing)} (Debian: apt-get install iproute2 util-linux)")
    plug: Plug = (
        CniPlugins(options.cni_conf_dir, options.cni_bin_dir)
        if options.cni_conf_dir
        else Bridge(options.pod_bridge, options.node_ips)
    )
    try:
        return PodNetwork(os.path.join(options.root_dir, FOLDER), plug, options.pod_cidrs)
    except (OSError, ValueError) as error:
        raise FatalError(f"the network of pods: {error}") from None
