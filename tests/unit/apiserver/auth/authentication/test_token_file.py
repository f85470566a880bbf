"""The file of `--token-auth-file`."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.auth.authentication.token_file import TokenFileError, read_token_file
from apiserver.request.user import User


def test_a_token_file_names_users_and_groups(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('t1,jane,u1\n\nt2, joe, u2, "a, b"\n')
    users = read_token_file(str(file))
    assert users[b"Bearer t1"] == User("jane", "u1", ("system:authenticated",))
    assert users[b"Bearer t2"] == User("joe", "u2", ("a", "b", "system:authenticated"))


@pytest.mark.parametrize("text", ["t1,jane", "t1", ",jane,u", "t1,,u"])
def test_a_bad_line_of_a_token_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(f"ok,user,uid\n{text}\n")
    with pytest.raises(TokenFileError, match=r"tokens\.csv:2: "):
        read_token_file(str(file))
