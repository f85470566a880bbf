#!/bin/sh
# Builds and runs the compose cluster, with what this machine needs for it: `make compose-up`, `make compose-down`.
#   compose.sh up      build, start, and wait until both nodes are Ready
#   compose.sh down    end it; volumes stay
#   compose.sh purge   end it and delete its volumes
# Any other words go to docker compose as they are.
set -eu
cd "$(dirname "$0")/.."
base=debian:bookworm-slim
READY_SECONDS=300

say() { printf '%s\n' "$*" >&2; }

compose() {
    files="-f docker-compose.yml"
    if restricted; then
        files="$files -f deploy/compose.restricted.yml"
    fi
    # shellcheck disable=SC2086
    if docker compose version >/dev/null 2>&1; then
        docker compose $files "$@"
    elif command -v docker-compose >/dev/null; then
        COMPOSE_DOCKER_CLI_BUILD=0 docker-compose $files "$@"
    else
        say "error: neither \`docker compose\` nor \`docker-compose\` is there (Debian: apt-get install docker-compose)"
        exit 1
    fi
}

# Whether this machine can't run privileged containers: CAP_SYS_RESOURCE (bit 24) is not in the bounding set.
restricted() {
    [ -r /proc/self/status ] || return 1
    bound=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
    [ $((0x$bound >> 24 & 1)) = 0 ]
}

need_engine() {
    if ! docker version >/dev/null 2>&1; then
        say "error: no container engine answers (start it with \`systemctl start docker\`, or Docker Desktop)"
        exit 1
    fi
}

# The base image, and without a registry also the wheels: a build in a container could not fetch them either.
prepare() {
    if docker image inspect "$base" >/dev/null 2>&1 || docker pull -q "$base" >/dev/null 2>&1; then
        return
    fi
    say "no registry can be reached"
    deploy/offline-base.sh >&2
    deploy/fetch-wheels.sh
}

wait_ready() {
    say "waiting for both nodes to be Ready"
    deadline=$(($(date +%s) + READY_SECONDS))
    while [ "$(ready_nodes)" != 2 ]; do
        if [ "$(date +%s)" -gt "$deadline" ]; then
            compose ps >&2
            say "error: not Ready after $READY_SECONDS s"
            exit 1
        fi
        sleep 1
    done
}

ready_nodes() {
    compose exec -T apiserver mini-kubectl --kubeconfig=/pki/kube-controller-manager.kubeconfig get nodes \
        -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' 2>/dev/null | tr ' ' '\n' | grep -c True || true
}

command=${1:-help}
case "$command" in
up)
    need_engine
    prepare
    # One service of each image: building all of them would send the same files again and again.
    compose build etcd worker-1 setup
    compose up -d
    wait_ready
    say "the cluster is up: export KUBECONFIG=$PWD/.cluster/kubeconfig"
    ;;
down) need_engine && compose down ;;
purge) need_engine && compose down --volumes --remove-orphans ;;
help) sed -n '2,6s/^# \{0,1\}//p' "$0" ;;
*) compose "$@" ;;
esac
