"""What verbs that make objects from flags take for an image."""

from __future__ import annotations

import pytest

from kubectl.commands.basic.run import IMAGE


@pytest.mark.parametrize(
    "image", ["nginx", "a/b:1", "localhost:5000/a_b/c-d:V1.x", "x@sha256:" + "a" * 64, "[::1]:5/x"]
)
def test_names_of_images(image: str) -> None:
    assert IMAGE.fullmatch(image)


@pytest.mark.parametrize("image", ["Nginx", "a b", "a:", "a@sha256:1", "-a", "a//b", ":1"])
def test_what_names_no_image(image: str) -> None:
    assert not IMAGE.fullmatch(image)
