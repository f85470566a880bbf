"""Removes folders that others have filled, however deep."""

from __future__ import annotations

import errno
import shutil
import subprocess


def remove_folder(path: str) -> None:
    """Removes the folder with all that is in it, and follows no links. Raises: OSError.

    `rmtree` holds a call and an open file for each level; `rm` has no such bounds.
    """
    try:
        shutil.rmtree(path)
    except RecursionError:
        _remove_deep(path)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        _remove_deep(path)


def _remove_deep(path: str) -> None:
    command = ["rm", "--recursive", "--force", "--one-file-system", "--", path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise OSError(done.stderr.strip()[:1000])
