"""Images made without an engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from componentbase.image_archive import Entry, ImageConfig, image_archive, image_id, layer, program


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {info.name: info for info in tar.getmembers()}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_layer_has_files_links_and_the_folders_above_them() -> None:
    made = layer({"/bin/tool": program(b"x"), "/etc/app/conf": b"data", "/bin/alias": Entry(None, link="tool", uid=5)})
    found = members(made)
    assert list(found) == ["bin", "bin/alias", "bin/tool", "etc", "etc/app", "etc/app/conf"]
    assert found["bin"].isdir()
    assert (found["bin/tool"].mode, found["etc/app/conf"].mode) == (0o755, 0o644)
    assert (found["bin/alias"].linkname, found["bin/alias"].uid) == ("tool", 5)
    assert content(made, "etc/app/conf") == b"data"
    assert all(info.mtime == 0 for info in found.values())


def test_an_archive_names_its_layers_and_is_the_same_each_time() -> None:
    layers = [layer({"/a": b"1"}), layer({"/b": b"2"})]
    config = ImageConfig(cmd=["run"], env={"A": "b"}, user="1000", labels={"x": "y"})
    archive = image_archive(["app:1", "app:latest"], layers, config)
    assert archive == image_archive(["app:1", "app:latest"], layers, config)
    (manifest,) = json.loads(content(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["app:1", "app:latest"]
    document = content(archive, manifest["Config"])
    assert f"sha256:{hashlib.sha256(document).hexdigest()}" == image_id(layers, config)
    diff_ids = [f"sha256:{hashlib.sha256(content(archive, name)).hexdigest()}" for name in manifest["Layers"]]
    parsed = json.loads(document)
    assert parsed["rootfs"]["diff_ids"] == diff_ids
    assert parsed["config"] == {"Cmd": ["run"], "Env": ["A=b"], "User": "1000", "Labels": {"x": "y"}}
