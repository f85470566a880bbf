"""What the engine tells of a pull, and the flags about images."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kubelet.container.images.options import ImageOptions
from kubelet.options import parse_options
from kubelet.runtime.docker import images
from kubelet.runtime.docker.images import PullProgress
from kubelet.runtime.interface import EngineError


def downloading(layer: str, current: int, total: int) -> dict[str, Any]:
    return {"id": layer, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def test_progress_is_the_sum_of_all_layers() -> None:
    progress = PullProgress()
    for line in (
        {"status": "Pulling from team/app", "id": "1.0"},
        {"status": "Already exists", "progressDetail": {}, "id": "here"},
        downloading("a", 10, 100),
        downloading("b", 5, 50),
        downloading("a", 60, 100),
        {"status": "Download complete", "progressDetail": {}, "id": "b"},
        {"status": "Extracting", "progressDetail": {"current": 1, "total": 50}, "id": "b"},
        {"status": "Status: Downloaded newer image"},
    ):
        progress.take(line)
    assert str(progress) == "110 of 150 bytes of 2 layers"


async def test_a_pull_without_progress_fails_and_one_with_some_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "STALLED_SECONDS", 0.5)
    going_on = asyncio.Event()

    async def lines() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):  # longer in all than a pull may stall
            await asyncio.sleep(0.12)
            yield downloading("a", number, 8)
        await going_on.wait()

    with pytest.raises(EngineError, match=r"no progress for 0\.5 s, after 4 of 8 bytes of 1 layers"):
        await images._follow_pull("app:1", lines())


FIXED = ["--node-ip=192.0.2.1"]


def test_without_flags_pulls_are_as_upstreams() -> None:
    assert parse_options(FIXED).images == ImageOptions(
        serialize_image_pulls=True,
        max_parallel_image_pulls=0,
        registry_qps=5,
        registry_burst=10,
        image_pull_credentials_verification_policy="NeverVerifyPreloadedImages",
    )


def test_the_configuration_file_has_them_by_upstreams_names(tmp_path: Path) -> None:
    file = tmp_path / "kubelet.yaml"
    file.write_text(
        "apiVersion: kubelet.config.k8s.io/v1beta1\n"
        "kind: KubeletConfiguration\n"
        "serializeImagePulls: false\n"
        "maxParallelImagePulls: 3\n"
        "registryPullQPS: 0\n"
        "registryBurst: 4\n"
        "imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\n"
        "preloadedImagesVerificationAllowlist: [reg.example/base, reg.example/team/*]\n"
    )
    options = parse_options([*FIXED, f"--config={file}"])
    assert options.images == ImageOptions(
        serialize_image_pulls=False,
        max_parallel_image_pulls=3,
        registry_qps=0,
        registry_burst=4,
        image_pull_credentials_verification_policy="NeverVerifyAllowlistedImages",
        preloaded_images_verification_allowlist=("reg.example/base", "reg.example/team/*"),
    )


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--max-parallel-image-pulls=2", "cannot be larger than 1 unless --serialize-image-pulls is false"),
        ("--max-parallel-image-pulls=0", "must be a positive number"),
        ("--registry-qps=-1", "must not be a negative number"),
        ("--registry-burst=-1", "must not be a negative number"),
        ("--image-credential-provider-config=/etc/providers.yaml", "need each other"),
        ("--image-pull-credentials-verification-policy=Sometimes", "is not one of NeverVerify, "),
        ("--preloaded-images-verification-allowlist=reg.example/a", "is for NeverVerifyAllowlistedImages alone"),
        *(
            (
                "--image-pull-credentials-verification-policy=NeverVerifyAllowlistedImages "
                f"--preloaded-images-verification-allowlist={pattern}",
                why,
            )
            for pattern, why in (
                ("nginx", "write docker.io/library/nginx"),
                ("reg.example/a:1", "without tag and digest"),
                ("reg.*/a", "only patterns that end with /*"),
                ("reg.*/a/*", "only a name before a last /*"),
                ("/*", "only a name before a last /*"),
            )
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options([*FIXED, *flags.split()])
    assert why in " ".join(capsys.readouterr().err.split())
