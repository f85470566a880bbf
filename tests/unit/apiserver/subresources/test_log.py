"""The options of a log request."""

from __future__ import annotations

from apiserver.subresources.pods.log import log_query


def test_the_options_of_a_log() -> None:
    given = {"follow": ["true"], "tailLines": ["0"], "sinceSeconds": ["5"], "timestamps": ["1"], "previous": ["false"]}
    assert log_query(given, "p") == "follow=true&timestamps=true&sinceSeconds=5&tailLines=0"
