#!/bin/sh
# Fetches the locked dependencies as wheels into deploy/wheels, where the image build finds them instead of going to the
# package index. Needs the Python that the images have (Debian bookworm's, 3.11): some wheels are made for one version.
set -eu
cd "$(dirname "$0")/.."
. deploy/shell.sh
stamp=deploy/wheels/.locked
wanted=$(sha256sum <requirements.lock)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

mini_cluster/install.sh
version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
    say "error: wheels for the images need Python 3.11; .venv has $version"
    exit 1
fi
say "fetching wheels"
rm -f deploy/wheels/*.whl
quietly .venv/bin/pip wheel --disable-pip-version-check --no-deps --require-hashes --no-build-isolation \
    -r requirements.lock -w deploy/wheels
printf '%s' "$wanted" >"$stamp"
