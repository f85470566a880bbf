"""What stands on mini-cluster's command line, wherever it stands."""

from __future__ import annotations

import pytest

from mini_cluster.cli.main import parser
from mini_cluster.cluster.layout import DEFAULT_FOLDER


@pytest.mark.parametrize(
    "line",
    [
        "--dir X -q up --nodes 0",
        "up --dir X -q --nodes 0",
        "-q status --dir X",
        "--dir X node -q stop worker-1",
        "node --dir X stop worker-1 -q",
        "node stop worker-1 --dir X -q",
        "--dir W -q load --dir X archive image.tar",
        "etcd --dir X -q status",
        "etcd snapshot --dir X save backup.db -q",
    ],
)
def test_the_folder_and_quiet_stand_before_or_after_the_command(line: str) -> None:
    options = parser().parse_args(line.split())
    assert (options.dir, options.quiet) == ("X", True)


def test_without_them_the_folder_is_the_default_and_progress_is_shown() -> None:
    for line in ("up", "node list", "etcd snapshot save backup.db"):
        options = parser().parse_args(line.split())
        assert (options.dir, options.quiet) == (DEFAULT_FOLDER, False)


def test_the_help_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    assert "--dir FOLDER" in capsys.readouterr().out
