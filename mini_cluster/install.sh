#!/bin/sh
# Makes .venv with the locked dependencies and this project in it; does nothing when that is done already.
# With "clients", other people's client libraries too, which only the tests need.
# System packages that a cluster needs are installed by `mini-cluster up`, which knows which.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

stamp=.venv/.installed
wanted=$({ pwd; cat requirements.lock pyproject.toml; } | sha256sum | cut -d ' ' -f 1)
export PIP_DISABLE_PIP_VERSION_CHECK=1

# $1: what was asked for. Adds the client libraries where that was "clients" and they are not there yet.
add_clients() {
    clients=$(sha256sum <tests/clients.lock)
    if [ "$1" = clients ] && [ "$(cat .venv/.clients 2>/dev/null)" != "$clients" ]; then
        say "adding the client libraries for the tests"
        .venv/bin/pip install -q --no-deps --require-hashes -r tests/clients.lock
        printf '%s' "$clients" >.venv/.clients
    fi
}

if [ -x .venv/bin/mini-cluster ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    add_clients "${1:-}"
    exit 0
fi

# $1: packages. Installs them, or says how.
install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "error: missing: $1. On Debian or Ubuntu, as root:"
        say "  apt-get update && apt-get install -y --no-install-recommends $1"
        exit 1
    fi
    say "installing $1"
    export DEBIAN_FRONTEND=noninteractive
    # The lists of packages are fetched only when the ones at hand don't do.
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $1 >/dev/null 2>&1 ||
        { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $1 >/dev/null; }
}

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
    install_packages "python3 python3-venv"
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
"$python" -m venv --clear .venv
# What comes as sources is built with the locked setuptools, so that comes first.
awk '/^[^ ]/ { on = /^setuptools==/ } on' requirements.lock >.venv/setuptools.lock
.venv/bin/pip install -q --no-deps --require-hashes -r .venv/setuptools.lock
.venv/bin/pip install -q --no-deps --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
.venv/bin/pip install -q --no-deps --no-build-isolation -e . 2>.venv/install.log || { cat .venv/install.log >&2; exit 1; }
printf '%s' "$wanted" >"$stamp"
add_clients "${1:-}"
