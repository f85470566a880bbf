#!/bin/sh
# Fetches the locked dependencies as wheels into deploy/wheels, where the image build finds them instead of going to the
# package index. Needs the Python that the images have (Debian bookworm's, 3.11): some wheels are made for one version.
set -eu
cd "$(dirname "$0")/.."
stamp=deploy/wheels/.locked
wanted=$(sha256sum <requirements.lock)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

for python in .venv/bin/python python3.11 python3; do
    if "$python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        echo "fetching wheels" >&2
        rm -f deploy/wheels/*.whl
        "$python" -m pip wheel -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock -w deploy/wheels
        printf '%s' "$wanted" >"$stamp"
        exit 0
    fi
done
echo "error: Python 3.11 with pip is needed to fetch wheels for the images" >&2
exit 1
