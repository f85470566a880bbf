"""policy: holds the node's pods to the NetworkPolicies that select them."""

from __future__ import annotations

from componentbase import logs
from componentbase.host import sysctls
from kubeapi.networking.networkpolicy import NetworkPolicy
from netagent.nft import Nft
from netagent.policy.enforcer import Enforcer
from netagent.policy.ruleset import TABLE, removal
from netagent.policy.views import NAMESPACES, PODS, trim
from netagent.room import Room, RoomContext, require_nft

BRIDGED = "pods on one node reach each other whatever policies say"
BRIDGE_NETFILTER = tuple((f"net/bridge/bridge-nf-call-{program}", BRIDGED) for program in ("iptables", "ip6tables"))

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    require_nft()
    for setting in BRIDGE_NETFILTER:
        sysctls.switch_on(setting)
    enforcer = Enforcer(context.node_name, Nft(TABLE), context.clock)
    context.health.add_check("policy", enforcer.check)
    pods = context.informers.of(PODS, trim=trim)
    namespaces = context.informers.of(NAMESPACES, trim=trim)
    policies = context.informers.of(NetworkPolicy)
    pods.add_handler(enforcer.on_pod)
    namespaces.add_handler(enforcer.on_namespace)
    policies.add_handler(enforcer.on_policy)
    context.node.add_handler(enforcer.on_node)
    for informer in (pods, namespaces, policies, context.node):
        await informer.wait_synced()  # rules made from half a list would cut connections that are allowed
    log.info("enforcing", node=context.node_name)
    await enforcer.run()


async def _cleanup() -> None:
    await Nft(TABLE).apply(removal())


ROOM = Room("policy", _run, _cleanup)
