"""Says what a node lacks of what its cloud knows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cloudprovider.interface import CloudError, Instance
from kubeapi.core.node import PROVIDED_NODE_IP, UNINITIALIZED_TAINT, Node, NodeAddress, without_taints

SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"


def topology_labels(instance: Instance) -> dict[str, str]:
    """Returns labels about the machine; what the cloud leaves open gets none."""
    labels = {
        "node.kubernetes.io/instance-type": instance.instance_type,
        "beta.kubernetes.io/instance-type": instance.instance_type,
        "topology.kubernetes.io/region": instance.region,
        "failure-domain.beta.kubernetes.io/region": instance.region,
        "topology.kubernetes.io/zone": instance.zone,
        "failure-domain.beta.kubernetes.io/zone": instance.zone,
    }
    return {key: value for key, value in labels.items() if value}


def with_cloud_facts(node: Node, instance: Instance) -> Node:
    """Returns the node with its provider id and its labels, and without the taint."""
    changed = without_taints(node, UNINITIALIZED_TAINT) or node.clone()
    changed.spec.providerID = changed.spec.providerID or instance.provider_id
    changed.metadata.labels = node.labels | topology_labels(instance)
    return changed


def node_addresses(node: Node, instance: Instance) -> list[NodeAddress]:
    """Returns the machine's addresses, first the one by which the kubelet wants to be known, and its host name.

    Raises: CloudError when the machine does not have that address.
    """
    addresses = _with_host_name(node, list(instance.addresses))
    wanted = node.annotations.get(PROVIDED_NODE_IP)
    if not wanted:
        return addresses
    first = [item for item in addresses if item.address in wanted.split(",")]
    if not first:
        raise CloudError(f"failed to get node address from cloud provider that matches ip: {wanted}")
    return first + [item for item in addresses if item not in first]


def _with_host_name(node: Node, addresses: Sequence[NodeAddress]) -> list[NodeAddress]:
    if any(item.type == "Hostname" for item in addresses):
        return list(addresses)
    own = [item for item in node.status.addresses or () if item.type == "Hostname"]
    return [*addresses, *own[:1]]
