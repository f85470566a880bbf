"""The process that keeps a cluster's processes alive: `python -m mini_cluster.supervision.supervisor FOLDER OWNER`.

It starts components in the order in which they become useful, in parallel where that is possible, and restarts what
dies. It keeps no record: killed and started again, it adopts what runs. What should run comes from the state file.
OWNER is the id of a process that the cluster must not outlive, or 0.
"""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from componentbase.host.removal import remove_folder
from componentbase.tasks import wait_for
from mini_cluster.cluster.component import Component, Programs
from mini_cluster.cluster.components import API_SERVER
from mini_cluster.cluster.etcd_members import ETCD, etcd_members
from mini_cluster.cluster.joined import HOST, components_of
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, NodeState, StateError, load_state
from mini_cluster.cluster.worker_host import is_engine
from mini_cluster.errors import LauncherError
from mini_cluster.etcd.restore import install
from mini_cluster.hosts import network as hosts
from mini_cluster.hosts.joined import ensure_joined
from mini_cluster.hosts.sweep import clear_engine, power_off, sweep_cluster
from mini_cluster.machine.commands import MachineCommandError
from mini_cluster.machine.logview import last_lines
from mini_cluster.machine.processes import snapshot
from mini_cluster.machine.programs import find_programs
from mini_cluster.supervision.control import LINE_BYTES, code_version
from mini_cluster.supervision.keeper import (
    BACKOFF,
    READY,
    TERMINATE_SECONDS,
    ComponentStatus,
    Keeper,
    StartError,
    component_processes,
    end_process,
    inputs_hash,
    process_end,
)
from mini_cluster.supervision.probes import ReadinessProber

HOPELESS_RESTARTS = 3  # a component that died this often while `apply` waits for it makes it give up
LOG_LINES = 8  # of a hopeless component's log that are shown
HEARTBEAT_SECONDS = 5.0  # a streaming answer says something at least this often

log = logging.getLogger("supervisor")


class Supervisor:
    """Knows what should run, and has a keeper for each component."""

    def __init__(self, layout: Layout, programs: Programs, tasks: asyncio.TaskGroup) -> None:
        self._layout = layout
        self._programs = programs
        self._tasks = tasks
        self._prober = ReadinessProber(layout.pki)
        self._keepers: dict[str, Keeper] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._inputs: dict[str, str] = {}
        self._order: list[str] = []
        self._state: ClusterState | None = None
        self._applying = asyncio.Lock()
        self._network = asyncio.Lock()
        self._changes = asyncio.Event()
        self.ended = asyncio.Event()

    def statuses(self) -> list[ComponentStatus]:
        """Returns all statuses, in the order in which components are started."""
        places = {name: place for place, name in enumerate(self._order)}
        keepers = sorted(self._keepers.values(), key=lambda keeper: places.get(keeper.component.name, len(places)))
        return [keeper.status for keeper in keepers]

    async def apply(self) -> None:
        """Makes what runs agree with the state file. Raises: StateError, SweepError, MachineCommandError."""
        async with self._applying:
            before, state = self._state, self._load_state()
            self._prober.forget_certificates()
            components = {item.name: item for item in components_of(self._layout, state, self._programs)}
            self._order = list(components)
            leaving = [keeper for name, keeper in self._keepers.items() if name not in components]
            switched_off = {node.name for node in state.nodes}
            await self._end_pods(keeper.component for keeper in leaving if keeper.component.node not in switched_off)
            for keeper in leaving:
                await self._drop(keeper.component, 0 if keeper.component.node else TERMINATE_SECONDS)
            if state.joined is not None:
                await asyncio.to_thread(ensure_joined, self._layout, state, state.joined)
            else:
                await self._settle_hosts(before, state, components.values())
            for component in components.values():
                await self._keep(component)

    async def _settle_hosts(
        self, before: ClusterState | None, state: ClusterState, components: Iterable[Component]
    ) -> None:
        """Switches hosts off that should not run, and repairs the network of the others."""
        for node in self._hosts_to_switch_off(before, state, components):
            await self._switch_off(node)
        await self._repair_networks(state, components)
        if not state.has_networks and hosts.link_exists(self._layout.bridge):
            await asyncio.to_thread(hosts.remove_machine, self._layout)

    async def restart(self, names: list[str]) -> None:
        """Ends these components and starts them as they should be now: files of the user's may have come or gone.

        Raises: StateError for a name that is not a component.
        """
        self._check_names(names)
        async with self._applying:
            components = {item.name: item for item in components_of(self._layout, self._load_state(), self._programs)}
            for name in names:
                component = self._keepers[name].component
                await self._drop(component, TERMINATE_SECONDS)
                await self._keep(components.get(name, component))

    async def shutdown(self, *, at_once: bool) -> None:
        """Ends every component, etcd last, so that nobody misses it.

        Worker hosts lose their power, `at_once` or after their pods had their time to end.
        """
        async with self._applying:
            components = [keeper.component for keeper in self._keepers.values()]
            if not at_once:
                await self._end_pods(components)
            await self._drop_in_order(components, host_seconds=0)
        self.ended.set()

    async def stop(self) -> None:
        """Ends every component but the container engines, until the next `apply` or `start`. Raises: StateError."""
        async with self._applying:
            components = components_of(self._layout, self._load_state(), self._programs)
            await self._drop_in_order([item for item in components if not is_engine(item)], TERMINATE_SECONDS)

    async def start(self, names: list[str]) -> None:
        """Starts components of the state file, nothing else. Raises: StateError."""
        async with self._applying:
            state = self._load_state()
            for component in components_of(self._layout, state, self._programs):
                if component.name in names:
                    await self._keep(component)

    async def _end_pods(self, components: Iterable[Component]) -> None:
        """Has those of these components that keep pods end them, and themselves."""
        await asyncio.gather(
            *(self._drop(item, item.host_stop_seconds, signal.SIGPWR) for item in components if item.host_stop_seconds)
        )

    async def _drop_in_order(self, components: list[Component], host_seconds: float) -> None:
        """Ends the API server's clients, then the API server, then etcd, so that nobody misses what it needs."""
        server = [item for item in components if item.name == API_SERVER]
        etcd = [item for item in components if item.group == ETCD]
        clients = [item for item in components if item not in (*server, *etcd)]
        for group in (clients, server, etcd):
            await asyncio.gather(
                *(self._drop(item, host_seconds if item.node else TERMINATE_SECONDS) for item in group)
            )

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Statuses as they change, until everything is ready. Raises: StateError when a component keeps dying."""
        last_sent: dict[str, dict[str, Any]] = {}
        before = {status.name: status.restarts for status in self.statuses()}
        while True:
            changes = self._changes
            statuses = self.statuses()
            for status in statuses:
                current = dataclasses.asdict(status)
                if last_sent.get(status.name) != current:
                    last_sent[status.name] = current
                    yield current
            for status in statuses:
                deaths = status.restarts - before.get(status.name, 0)
                if status.state == BACKOFF and deaths >= HOPELESS_RESTARTS:
                    end = last_lines(self._layout, status.name, LOG_LINES)
                    raise StateError(f"{status.name} does not stay up: {status.detail}\n{end}")
            if all(status.state == READY for status in statuses):
                return
            if not await wait_for(changes, HEARTBEAT_SECONDS):
                yield {"waiting": [status.name for status in statuses if status.state != READY]}

    def _load_state(self) -> ClusterState:
        state = load_state(self._layout.state)
        if state is None:
            raise StateError(f"{self._layout.state} is missing")
        self._state = state
        return state

    def _check_names(self, names: list[str]) -> None:
        for name in names:
            if name not in self._keepers:
                raise StateError(f"there is no component {name!r} (components: {', '.join(self._keepers)})")

    async def _keep(self, component: Component) -> None:
        keeper = self._keepers.get(component.name)
        inputs = inputs_hash(component, self._layout)
        if keeper is not None:
            if keeper.component == component and self._inputs[component.name] == inputs:
                keeper.retry_now()
                return
            await self._drop(component, TERMINATE_SECONDS)
        keeper = Keeper(
            component,
            self._layout,
            self._prober,
            prepare=self._prepare,
            wait_ready=self._wait_ready,
            changed=self._on_change,
        )
        self._keepers[component.name] = keeper
        self._inputs[component.name] = inputs
        self._running[component.name] = self._tasks.create_task(keeper.run(), name=component.name)

    async def _drop(self, component: Component, seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
        """Ends a component for good, whoever started it: a signal and, after `seconds`, SIGKILL."""
        if (keeper := self._keepers.get(component.name)) is None:
            for process in component_processes(snapshot(), self._layout.key, component):
                await end_process(process, seconds, first)
            return
        task = self._running.pop(component.name)
        task.cancel()
        await asyncio.wait((task,))
        await keeper.terminate(seconds, first)
        del self._keepers[component.name]

    def _hosts_to_switch_off(
        self, before: ClusterState | None, state: ClusterState, components: Iterable[Component]
    ) -> list[NodeState]:
        """Returns hosts that should not run but left something, and hosts whose engine lost its network."""
        prefix = self._layout.netns("worker-")
        on_machine = [NodeState(int(name.removeprefix(prefix))) for name in hosts.list_netns(self._layout)]
        nodes = {node.name: node for node in (*on_machine, *(before.nodes if before else ()), *state.nodes)}
        torn = self._torn_hosts(components)
        keep = {node.name for node in state.nodes if not node.stopped and node.name not in torn}
        return [node for node in nodes.values() if node.name not in keep]

    def _torn_hosts(self, components: Iterable[Component]) -> set[str]:
        """Returns hosts with a process in another network namespace than the one that bears the host's name."""
        processes = snapshot()
        return {
            component.node
            for component in components
            if component.node
            for process in component_processes(processes, self._layout.key, component)
            if process.netns != hosts.netns_inode(self._layout.netns(component.node))
        }

    async def _repair_networks(self, state: ClusterState, components: Iterable[Component]) -> None:
        """Repairs the networks of hosts whose engine runs; the others get theirs before their engine is started.

        Raises: MachineCommandError.
        """
        processes = snapshot()
        for component in components:
            if is_engine(component) and component_processes(processes, self._layout.key, component):
                await self._ensure_network(state, state.node(component.node))

    async def _ensure_network(self, state: ClusterState, node: NodeState) -> None:
        async with self._network:
            await asyncio.to_thread(hosts.ensure_machine, self._layout, state)
        await asyncio.to_thread(hosts.ensure_host, self._layout, state, node)

    async def _switch_off(self, node: NodeState) -> None:
        for keeper in [keeper for keeper in self._keepers.values() if keeper.component.node == node.name]:
            await self._drop(keeper.component, 0)
        await asyncio.to_thread(power_off, self._layout, node)

    async def _prepare(self, component: Component) -> None:
        """Makes the network that a host's engine starts in, and puts restored data in place. Raises: StartError."""
        assert self._state is not None
        if component.group == ETCD:
            for member in etcd_members(self._layout, self._state):
                if member.component == component.name and install(self._layout, member):
                    log.info("%s starts with restored data", component.name)
        if not is_engine(component):
            return
        joined = self._state.joined
        node = self._state.node(component.node) if joined is None else HOST
        try:
            await asyncio.to_thread(clear_engine, self._layout, node)
            if joined is None:
                await self._ensure_network(self._state, node)
            else:
                await asyncio.to_thread(ensure_joined, self._layout, self._state, joined)
        except MachineCommandError as error:
            raise StartError(str(error)) from None

    async def _wait_ready(self, name: str) -> None:
        """Returns when the component, or a majority of the group, of this name is ready."""
        while True:
            changes = self._changes
            keepers = [
                keeper for keeper in self._keepers.values() if name in (keeper.component.name, keeper.component.group)
            ]
            ready = [keeper for keeper in keepers if keeper.status.state == READY]
            if keepers and 2 * len(ready) > len(keepers):
                return
            await changes.wait()

    def _on_change(self, status: ComponentStatus) -> None:
        log.info("%s %s pid=%d restarts=%d %s", status.name, status.state, status.pid, status.restarts, status.detail)
        changes, self._changes = self._changes, asyncio.Event()
        changes.set()


class ControlServer:
    """Answers the command line on the unix socket."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._version = code_version()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection, which has one request."""
        try:
            request = json.loads(await reader.readline() or b"{}")
            try:
                async for line in self._answer(request):
                    await _send(writer, line)
                await _send(writer, {"done": True})
            except LauncherError as error:
                await _send(writer, {"error": str(error)})
        except (ConnectionError, ValueError) as error:
            log.info("a client left: %s", error)
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        operation, names = request.get("op"), list(request.get("names", ()))
        match operation:
            case "status":
                for status in self._supervisor.statuses():
                    yield dataclasses.asdict(status)
            case "version":
                yield {"version": self._version}
            case "apply":
                await self._supervisor.apply()
            case "restart":
                await self._supervisor.restart(names)
            case "start":
                await self._supervisor.start(names)
            case "stop":
                await self._supervisor.stop()
            case "shutdown":
                await self._supervisor.shutdown(at_once=bool(request.get("at_once")))
            case _:
                raise StateError(f"unknown request {operation!r}")
        if operation in ("apply", "restart", "start") and request.get("wait", True):
            async for line in self._supervisor.progress():
                yield line


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


async def supervise(layout: Layout, owner_pid: int) -> bool:
    """Runs until a shutdown is asked for, or the owner ends; True in the latter case."""
    socket_path = layout.supervisor_socket
    socket_path.unlink(missing_ok=True)
    async with asyncio.TaskGroup() as tasks:
        supervisor = Supervisor(layout, find_programs(), tasks)
        control = ControlServer(supervisor)
        server = await asyncio.start_unix_server(control.serve, str(socket_path), limit=LINE_BYTES)
        socket_path.chmod(0o600)
        async with server:
            orphaned = tasks.create_task(_shut_down_after(owner_pid, supervisor)) if owner_pid else None
            await supervisor.ended.wait()
            with suppress(FileNotFoundError):
                socket_path.unlink()
        if orphaned is not None and not orphaned.done():
            orphaned.cancel()
    return orphaned is not None and not orphaned.cancelled()


async def _shut_down_after(owner_pid: int, supervisor: Supervisor) -> None:
    await process_end(owner_pid)
    log.info("the owner has ended")
    await supervisor.shutdown(at_once=True)


def main() -> int:
    """Exit code 2 when another supervisor of the same cluster runs, or its sockets' folder is not ours."""
    layout, owner_pid = Layout.of(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    layout.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    if layout.run.stat().st_uid != os.getuid():
        log.error("%s belongs to somebody else", layout.run)
        return 2
    with (layout.run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.error("another supervisor keeps this cluster")
            return 2
        if asyncio.run(supervise(layout, owner_pid)):
            sweep_cluster(layout)
            remove_folder(str(layout.root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
