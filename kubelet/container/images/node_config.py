"""Reads the registry credentials that the node itself has, for the images of all of its pods."""

from __future__ import annotations

import os
from pathlib import Path

from componentbase import logs
from kubelet.container.images.credentials import Keyring, keyring, read_credentials

log = logs.logger(__name__)


def node_credentials(root_dir: str, home: str | None = None) -> Keyring:
    """Returns the credentials of the first file that can be read.

    Source: Kubernetes' "Images" page: `config.json` of the kubelet's root folder, its working folder, and the `.docker`
    folders of its user and of the root of the file system; else `.dockercfg` of these.
    """
    user = Path(home or os.environ.get("HOME") or "/")
    folders = (Path(root_dir), Path.cwd())
    modern = [folder / "config.json" for folder in (*folders, user / ".docker", Path("/.docker"))]
    legacy = [folder / ".dockercfg" for folder in (*folders, user, Path("/"))]
    for file in modern + legacy:
        try:
            return keyring(read_credentials(file.read_bytes(), legacy=file in legacy))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            log.warning("registry credentials of the node not read", file=str(file), error=str(error))
    return {}
