"""`cp`: copies files and folders into and out of containers, by a `tar` in the container."""

from __future__ import annotations

import argparse
import os
import posixpath
import tarfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.input import candidates
from kubectl.input.pods import choose_container, find_pods, refuse_ended
from kubectl.invocation.command import (
    NO_SPACE,
    Candidates,
    Command,
    CommandContext,
    Cursor,
    ExitCode,
    UsageError,
    refuse,
)
from kubectl.invocation.flags import add_bool
from kubectl.remote.archiving import pack, unpack


class CopyPlace(NamedTuple):
    """A place of files: in a pod, or on this machine where `pod` is ""."""

    namespace: str
    pod: str
    path: str


class ContainerShell(NamedTuple):
    """A container in which commands run."""

    context: CommandContext
    pod: Dict
    container: str

    def pipe(self, *command: str, stdin: bool = False, **pipes: Any) -> None:
        """Runs a command; `pipes` are those of `pipe_remote`. Raises: what that raises."""
        from kubectl.remote.remotecommand import RemoteProcess, pipe_remote  # here: websockets takes 60 ms

        pipe_remote(self.context, RemoteProcess(self.pod, self.container, command, stdin=stdin), **pipes)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("places", nargs="*", metavar="PLACE", help="from and to: PATH, POD:PATH or NAMESPACE/POD:PATH")
    parser.add_argument("-c", "--container", default="", help="this container")
    add_bool(parser, "--no-preserve", default=False, help="owner and permissions are the container's own")
    parser.add_argument("--retries", type=int, default=0, metavar="N", help="tries again; negative: for ever")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    refuse((len(args.places) != 2, "source and destination are required"))
    source, target = map(parse_place, args.places)
    missing = target.pod and not os.path.lexists(source.path)
    refuse(
        (source.pod and target.pod, "one of src or dest must be a local file specification"),
        (not source.path or not target.path, "filepath can not be empty"),
        (not source.pod and not target.pod, "one of src or dest must be a remote file specification"),
        (missing, f"{source.path} doesn't exist in local filesystem"),
    )
    shell = _shell(context, source if source.pod else target, args.container)
    if target.pod:
        copy_in(shell, Path(source.path), target.path, preserve=not args.no_preserve)
        return
    tries = args.retries
    while True:
        try:
            copy_out(shell, source.path, Path(target.path))
            return
        except LostConnection as error:
            if not tries:
                raise UsageError(str(error)) from error
            tries -= 1
            context.say(f"Resuming copy from the start: {error}")


def parse_place(text: str) -> CopyPlace:
    """Reads PATH, POD:PATH or NAMESPACE/POD:PATH. Raises: UsageError."""
    before, colon, path = text.partition(":")
    if not colon:
        return CopyPlace("", "", text)
    if before.startswith((".", "/")) or not before:
        raise UsageError("filespec must match the canonical format: [[namespace/]pod:]file/path")
    parts = before.split("/")
    if len(parts) > 2 or not all(parts):
        raise UsageError("filespec must match the canonical format: [[namespace/]pod:]file/path")
    return CopyPlace(parts[0] if len(parts) == 2 else "", parts[-1], path)


def _shell(context: CommandContext, spec: CopyPlace, container: str) -> ContainerShell:
    if spec.namespace:
        context.given_namespace = spec.namespace
    pod = find_pods(context, [spec.pod])[0]
    refuse_ended(pod, "exec into")
    return ContainerShell(context, pod, choose_container(context, pod, container))


def copy_in(shell: ContainerShell, source: Path, target: str, *, preserve: bool) -> None:
    """Copies into a container. Raises: UsageError, ExitCode where `tar` fails, OSError."""
    if not target.endswith("/"):
        target = posixpath.normpath(target)
    if _is_folder(shell, target):
        target = posixpath.join(target, Path(os.path.abspath(source)).name)
    target = target.rstrip("/") or "/"
    folder, name = posixpath.split(target)
    command = ["tar", "-xmf", "-"] if preserve else ["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-"]
    command += ["-C", folder] if folder else []
    shell.pipe(*command, stdin=True, feed=lambda send: pack(source, name, send, shell.context.say))


def _is_folder(shell: ContainerShell, path: str) -> bool:
    try:
        shell.pipe("test", "-d", path, quiet=True)
    except (ExitCode, StatusError):
        return False  # none, or a container without `test`: then the path is taken as it stands
    return True


class LostConnection(Exception):
    """The archive ended before its end."""


def copy_out(shell: ContainerShell, source: str, target: Path) -> None:
    """Copies out of a container. Raises: UsageError, LostConnection, ExitCode where `tar` fails, OSError."""
    source = posixpath.normpath(source)
    reading, writing = os.pipe()
    result: list[int | Exception] = []

    def extract() -> None:
        with os.fdopen(reading, "rb") as stream:
            try:
                result.append(unpack(stream, source, target, shell.context.say, skipped))
            except (tarfile.TarError, OSError) as error:
                result.append(error)
            while stream.read(1 << 16):
                pass  # the rest of an archive that cannot be used, so that its sender comes to an end

    def skipped(name: str, aim: str) -> None:
        meta = shell.pod["metadata"]
        command = f'mini-kubectl exec -n "{meta["namespace"]}" "{meta["name"]}" -- tar cf - "{source}" | tar xf -'
        shell.context.say(f'warning: skipping symlink: "{name}" -> "{aim}" (consider using "{command}")')

    reader = threading.Thread(target=extract, daemon=True)
    reader.start()
    failure: Exception | None = None
    try:
        shell.pipe("tar", "cf", "-", source, take=lambda data: _write_all(writing, data))
    except (UsageError, ExitCode) as error:
        failure = error
    finally:
        os.close(writing)
        reader.join()
    outcome = result[0]
    if isinstance(failure, UsageError):
        raise LostConnection(str(failure)) from failure
    if isinstance(outcome, OSError):
        raise outcome
    if outcome == 0 or isinstance(outcome, Exception):
        raise UsageError(f"{source} no such file or directory" if failure else f"unreadable archive: {outcome}")
    if failure is not None:
        raise failure


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _complete(cursor: Cursor) -> Candidates:
    """Completes POD: behind which a path follows that nobody knows from here."""
    return Candidates((f"{name}:" for name in candidates.names(cursor.context, "pods")), NO_SPACE)


COMMAND = Command(
    "cp",
    "Copy files and folders to and from containers",
    configure,
    run,
    completes=_complete,
    examples="""\
  # A folder into a pod, and a file out of one
  mini-kubectl cp ./site web:/srv/site
  mini-kubectl cp web:/var/log/app.log ./app.log
  # A container, and a namespace
  mini-kubectl cp ./settings.ini shop/web:/etc/settings.ini -c app
  # The container needs `tar`; without it a file goes through `cat`
  mini-kubectl exec -i web -- sh -c 'cat > /tmp/file' < file""",
)
