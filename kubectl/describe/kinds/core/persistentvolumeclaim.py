"""PersistentVolumeClaims: what they ask for, what they have got, and the pods that use it."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.volumes import claim_lines
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext

_NEVER = "Mon, 01 Jan 0001 00:00:00 +0000"


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta = obj["metadata"]
    writer.name(obj)
    claim_lines(writer, {"status": {}, **obj})
    writer.items("Used By", [pod["metadata"]["name"] for pod in _users(context, meta)])
    conditions = (obj.get("status") or {}).get("conditions")
    if conditions:
        writer.heading("Conditions")
        headers = ["Type", "Status", "LastProbeTime", "LastTransitionTime", "Reason", "Message"]
        rule = ["----", "------", "-----------------", "------------------", "------", "-------"]
        writer.table(headers, [rule, *map(_condition, conditions)], ruled=False)


def _condition(item: Dict) -> list[str]:
    times = [when(item[key]) if item.get(key) else _NEVER for key in ("lastProbeTime", "lastTransitionTime")]
    cells = [item["type"], item["status"], *times, item.get("reason", "")]
    return [*(f"{cell} " for cell in cells), item.get("message", "")]


def _users(context: CommandContext, meta: Dict) -> list[Dict]:
    """Returns the pods that mount the claim, and one that it was made for."""
    pods = context.api.list(context.discovery.find("pods").path(meta["namespace"]))["items"]
    users = [pod for pod in pods if meta["name"] in _claim_names(pod)]
    owners = {owner["uid"] for owner in meta.get("ownerReferences") or () if owner["kind"] == "Pod"}
    return users + [pod for pod in pods if pod["metadata"]["uid"] in owners and pod not in users]


def _claim_names(pod: Dict) -> list[str]:
    volumes = pod["spec"].get("volumes") or ()
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]


DESCRIBE = DescribeSection(_write)
