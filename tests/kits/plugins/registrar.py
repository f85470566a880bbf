"""The registration service of a plugin, as node-driver-registrar serves it beside a driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kits.plugins.proto import PluginServer, messages

pb = messages(
    "pluginregistration",
    {
        "PluginInfo": "string type = 1; string name = 2; string endpoint = 3; string* supported_versions = 4",
        "RegistrationStatus": "bool plugin_registered = 1; string error = 2",
        "RegistrationStatusResponse": "",
        "InfoRequest": "",
    },
)
SERVICE = "/pluginregistration.Registration"


class Registrar:
    """`told` is what the kubelet has answered: "" for a registration, else why not."""

    def __init__(self, registry: Path, type: str, name: str, endpoint: str, versions: list[str]) -> None:
        self.told: list[str] = []
        self.path = registry / f"{name.replace('/', '_')}-reg.sock"
        self._info = pb.PluginInfo(type=type, name=name, endpoint=endpoint, supported_versions=versions)

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = PluginServer(
            str(self.path),
            {
                f"{SERVICE}/GetInfo": (pb.InfoRequest, lambda request, context: self._info, False),
                f"{SERVICE}/NotifyRegistrationStatus": (pb.RegistrationStatus, self._notify, False),
            },
        )
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self.path.unlink(missing_ok=True)

    def _notify(self, status: Any, context: Any) -> Any:
        self.told.append("" if status.plugin_registered else status.error)
        return pb.RegistrationStatusResponse()
