"""The network of pods by CNI plugins: programs that are run when a sandbox comes, and when it goes.

Source: Container Network Interface specification 1.0, sections 2 and 4.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from componentbase.host.process import CommandError, run
from kubelet.network.attachment import Attachment
from kubelet.network.cni.config import Json, PluginList, capabilities, load_list, result_addresses
from kubelet.network.plug import PlugError
from kubelet.runtime.network import NetworkRequest

PLUGIN_SECONDS = 220.0
INTERFACE = "eth0"


class CniPlugins:
    """Implements `Plug`. A network that is changed in its folder is that of the sandboxes to come."""

    def __init__(
        self, conf_dir: str, bin_dirs: Sequence[str], run_command: Callable[..., Awaitable[str]] = run
    ) -> None:
        self._conf_dir, self._bin_dirs, self._run = conf_dir, bin_dirs, run_command
        self._ranges: tuple[str, ...] = ()

    def problem(self) -> str:
        try:
            network = load_list(self._conf_dir)
            for plugin in network.plugins:
                self._program(plugin)
        except PlugError as error:
            return str(error)
        waits = network.offers("ipRanges") and not self._ranges
        return "the Node has no podCIDR yet" if waits else ""

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        changed, self._ranges = self._ranges != tuple(cidrs), tuple(cidrs)
        return changed

    async def follow(self, attachments: Callable[[], Iterable[Attachment]]) -> None:
        await asyncio.Event().wait()  # it is the plugins' affair

    def holds(self, addresses: Sequence[str]) -> bool:
        return True  # it is the plugins' affair where they are from

    def reserve(self, request: NetworkRequest, taken: Collection[str]) -> Attachment:
        plugins = dict(load_list(self._conf_dir).document)
        return Attachment(request, plugins=plugins, netns_inode=_inode(request.netns))

    async def add(self, attachment: Attachment) -> Attachment:
        network, result = PluginList(attachment.plugins), None
        for plugin in network.plugins:
            result = await self._call("ADD", network, plugin, attachment, result)
        return replace(attachment, addresses=result_addresses(result or {}), result=dict(result or {}))

    async def check(self, attachment: Attachment) -> None:
        network = PluginList(attachment.plugins)
        for plugin in network.plugins if network.checks else ():
            await self._call("CHECK", network, plugin, attachment, attachment.result)

    async def delete(self, attachment: Attachment) -> None:
        """Asks the plugins that made it, the last one first."""
        network = PluginList(attachment.plugins)
        for plugin in reversed(network.plugins):
            await self._call("DEL", network, plugin, attachment, attachment.result)

    async def _call(
        self, command: str, network: PluginList, plugin: Json, attachment: Attachment, previous: Json | None
    ) -> Json | None:
        """Runs a plugin; returns the result that it printed, None for none. Raises: PlugError."""
        told = capabilities(attachment.request, self._ranges)
        config = json.dumps(network.plugin_config(plugin, told, previous))
        where = f'plugin type="{plugin["type"]}" failed ({command.lower()})'
        try:
            printed = await self._run(
                self._program(plugin), stdin=config, timeout_seconds=PLUGIN_SECONDS,
                environment=self._environment(command, attachment),
            )  # fmt: skip
            result = json.loads(printed) if printed.strip() else None
        except CommandError as error:
            raise PlugError(f"{where}: {_reason(error)}") from None
        except ValueError:
            raise PlugError(f"{where}: what it printed is not JSON") from None
        if result is not None and not isinstance(result, dict):
            raise PlugError(f"{where}: what it printed is not an object")
        return result

    def _program(self, plugin: Json) -> str:
        """Raises: PlugError."""
        name = str(plugin["type"])
        path = shutil.which(name, path=os.pathsep.join(self._bin_dirs))
        if path is None:
            raise PlugError(f'failed to find plugin "{name}" in path {list(self._bin_dirs)}')
        return path

    def _environment(self, command: str, attachment: Attachment) -> dict[str, str]:
        request = attachment.request
        pod = {
            "IgnoreUnknown": "1",
            "K8S_POD_NAMESPACE": request.pod.namespace,
            "K8S_POD_NAME": request.pod.name,
            "K8S_POD_INFRA_CONTAINER_ID": request.id,
            "K8S_POD_UID": request.pod.uid,
        }
        # A namespace that is gone has no path: plugins then give back the rest.
        gone = command == "DEL" and _inode(request.netns) != attachment.netns_inode
        return {
            **os.environ,
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": request.id,
            "CNI_NETNS": "" if gone else request.netns,
            "CNI_IFNAME": INTERFACE,
            "CNI_ARGS": ";".join(f"{key}={value}" for key, value in pod.items()),
            "CNI_PATH": os.pathsep.join(self._bin_dirs),
        }


def _inode(path: str) -> int:
    """Returns 0 for a namespace that is gone."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _reason(error: CommandError) -> str:
    """Returns what a plugin says of its failure: a JSON object on its standard output."""
    try:
        said: Any = json.loads(error.output)
        return "; ".join(filter(None, (str(said["msg"]), str(said.get("details") or ""))))
    except (ValueError, TypeError, KeyError):
        return str(error)
