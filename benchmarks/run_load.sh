#!/bin/sh
# Load-tests the control plane with the load harness in folder $1, and compares with the original's figures there.
# Further words are scenarios and options of the harness ("all" by default): run_load.sh FOLDER writes reads
set -eu
cd "$(dirname "$0")/.."
harness=${1:-}
if [ ! -f "$harness/loadtest.py" ]; then
    echo "usage: make load LOADTEST=<folder with loadtest.py>" >&2
    exit 2
fi
shift
[ $# -gt 0 ] || set -- all
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
mkdir -p build
rm -f build/load.jsonl
python3 "$harness/loadtest.py" --target benchmarks/mini-kubernetes.json \
    --var BIN="$PWD/.venv/bin" --var ETCD="$(command -v etcd)" --var DATA="$data" --out build/load.jsonl "$@"
python3 "$harness/loadtest.py" compare "$harness/kubernetes.jsonl" build/load.jsonl
