#!/bin/sh
# Builds and runs the compose cluster, with what this machine needs for it: `make compose-up`, `make compose-down`.
#   compose.sh up      build, start, and wait until every node is Ready (WORKERS=3 for a third one)
#   compose.sh down    end it; volumes stay
#   compose.sh purge   end it and delete its volumes
# Any other words go to docker compose as they are.
set -eu
cd "$(dirname "$0")/.."
. deploy/shell.sh
base=debian:bookworm-slim
READY_SECONDS=300

compose() {
    files="-f docker-compose.yml"
    ! restricted || files="$files -f deploy/compose.restricted.yml"
    if [ "${WORKERS:-2}" = 3 ]; then
        files="$files -f deploy/compose.worker-3.yml"
        ! restricted || files="$files -f deploy/compose.worker-3.restricted.yml"
    fi
    # shellcheck disable=SC2086
    if docker compose version >/dev/null 2>&1; then
        docker compose $files "$@"
    elif command -v docker-compose >/dev/null; then
        COMPOSE_DOCKER_CLI_BUILD=0 docker-compose $files "$@"
    else
        say "error: neither \`docker compose\` nor \`docker-compose\` is there: install Docker's docker-compose-plugin or" \
            "Debian's docker-compose"
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
    if ! command -v docker >/dev/null; then
        say "error: there is no \`docker\` here: install Docker (docker-ce or Debian's docker.io)"
        exit 1
    fi
    if ! problem=$(docker version 2>&1 >/dev/null); then
        case "$problem" in
        *"permission denied"*) say "error: your user may not use the container engine: run this with sudo" ;;
        *) say "error: no container engine answers (start it with \`systemctl start docker\`, or Docker Desktop)" ;;
        esac
        exit 1
    fi
}

# Both keep their administrator's kubeconfig in .cluster.
refuse_beside_mini_cluster() {
    if .venv/bin/mini-cluster status -o json 2>/dev/null | grep -q '"up": true'; then
        say "error: the cluster of \`mini-cluster up\` runs in this folder. End it first: make down"
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

start() {
    said=$(mktemp)
    wait=--wait
    docker compose version >/dev/null 2>&1 || wait=
    if ! compose up -d $wait </dev/null >"$said" 2>&1; then
        cat "$said" >&2
        explain "$(cat "$said")"
        rm -f "$said"
        exit 1
    fi
    rm -f "$said"
}

# $1: what compose said when it failed. Adds what to do where something else is in the cluster's way.
explain() {
    case "$1" in
    *"port is already allocated"* | *"address already in use"*)
        say "error: port ${API_PORT:-6443} of this machine is in use. Choose another, and try again:"
        say "  echo API_PORT=7443 >>.env"
        ;;
    *"Pool overlaps"* | *"pool overlaps"*)
        say "error: the network ${SUBNET:-172.31.240}.0/24 is in use on this machine. Choose another, and try again:"
        say "  echo SUBNET=172.31.241 >>.env"
        ;;
    esac
}

wait_ready() {
    workers=$(compose config --services | grep -c '^worker-')
    say "waiting for $workers nodes to be Ready"
    deadline=$(($(date +%s) + READY_SECONDS))
    while [ "$(ready_nodes)" != "$workers" ]; do
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
    refuse_beside_mini_cluster
    prepare
    say "building the images"
    # One service of each image: building all of them would send the same files again and again.
    quietly compose build etcd worker-1 setup
    say "starting the services"
    start
    wait_ready
    say "the cluster is up: export KUBECONFIG=$PWD/.cluster/kubeconfig"
    ;;
down | purge)
    need_engine
    WORKERS=3 # also where there are only two
    if [ "$command" = purge ]; then
        compose down --remove-orphans --volumes
    else
        compose down --remove-orphans
    fi
    ;;
help) sed -n '2,6s/^# \{0,1\}//p' "$0" ;;
*) compose "$@" ;;
esac
