"""DefaultBinder: tells the API server where the pod goes."""

from __future__ import annotations

from scheduler.framework import Cycle, Plugin, PluginSpec


class DefaultBinder(Plugin):
    async def bind(self, cycle: Cycle, node: str) -> bool:
        rest = self.handle.rest
        if rest is None:
            raise RuntimeError("binding needs an API server")
        meta = cycle.pod.metadata
        await rest.bind(meta.namespace or "", meta.name or "", node, uid=meta.uid or "")
        return True


PLUGIN = PluginSpec("DefaultBinder", DefaultBinder)
