"""Reads the file of `--token-auth-file`: bearer tokens and their users.

Source: Kubernetes documentation, "Authenticating", "Static token file".
"""

from __future__ import annotations

import csv
from pathlib import Path

from apiserver.request.user import AUTHENTICATED, User

MAX_TOKENS = 100_000  # a longer token file is refused at start: it is held in memory


class TokenFileError(Exception):
    """The token file can't be used; the message names the line."""


def read_token_file(path: str) -> dict[bytes, User]:
    """Authorization header value -> user. Lines are `token,user,uid` with optional `"group1,group2"`.

    Raises: TokenFileError, OSError.
    """
    users: dict[bytes, User] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for row in reader:
            if not row or not any(row):
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                where = f"{path}:{reader.line_num}"
                raise TokenFileError(f"{where}: a line must be token,user,uid and optionally quoted groups")
            if len(users) >= MAX_TOKENS:
                raise TokenFileError(f"{path}: more than {MAX_TOKENS} tokens")
            groups = [group.strip() for group in row[3].split(",")] if len(row) > 3 else []
            user = User(row[1], row[2], (*(group for group in groups if group), AUTHENTICATED))
            users[b"Bearer " + row[0].encode()] = user
    return users
