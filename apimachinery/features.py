"""Features that upstream has switched off by default, and that --feature-gates of kube-apiserver switches on."""

from __future__ import annotations

FEATURES: dict[str, Feature] = {}
"""All there are, by their names."""


class Feature:
    """Is made once, where it is asked about; whether it is on is settled before anything is served."""

    def __init__(self, name: str) -> None:
        self.name, self.enabled = name, False
        FEATURES[name] = self
