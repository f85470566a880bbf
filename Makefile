# `make` lists what there is. Every target can be repeated, and makes first what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
NODES ?=
ETCD_MEMBERS ?=
LOADTEST ?=
WORKERS ?=

.PHONY: help need-root setup up down status demo test test-slow test-clients check format bench bench-node churn load compose-up compose-down compose-test offline-base clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

need-root:
	@[ "$$(id -u)" = 0 ] || { echo 'error: worker hosts need root: sudo make $(MAKECMDGOALS)' >&2; exit 1; }

setup: ## make .venv with the locked dependencies (and install Python where that is missing)
	@mini_cluster/install.sh

up: setup ## bring the cluster up, or repair it (NODES=0..5, 2 by default; ETCD_MEMBERS=3 for a new one)
	@$(BIN)/mini-cluster up $(if $(NODES),--nodes $(NODES)) $(if $(ETCD_MEMBERS),--etcd-members $(ETCD_MEMBERS))

down: setup ## end the cluster; its data stays in .cluster
	@$(BIN)/mini-cluster down

status: setup ## show components and nodes
	@$(BIN)/mini-cluster status

demo: need-root setup ## the guestbook on two worker hosts, with a killed container and a lost host
	@$(BIN)/python examples/guestbook/demo.py

test: ## everything: checks, unit, integration and cluster tests, the demonstration, compose
	@.ci/run

test-slow: need-root setup ## tests that take long and rarely break, which `make test` leaves out
	@$(BIN)/pytest -q -m slow --durations=10 tests

test-clients: setup ## what kubectl sees, with every kubectl on the machine (CI: the oldest and the newest)
	@ALL_KUBECTLS=1 $(BIN)/pytest -q tests/integration/kubectl tests/integration/api tests/cluster/kubelet

check: setup ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy examples/guestbook benchmarks
	$(BIN)/lint-imports

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure a cluster: start, rollout, healing, idle cost, the command line
	@$(BIN)/python -m benchmarks.cluster_bench
	@$(BIN)/python -m benchmarks.client_bench

bench-node: setup ## measure a worker host: pod starts beside docker run, 100 pods, a ConfigMap's way to its file
	@$(BIN)/python -m benchmarks.node_bench

churn: setup ## create and delete 200 pods on one node, and look for what they left there
	@CHURN_PODS=200 $(BIN)/pytest -m slow tests/cluster/kubelet/test_churn.py --durations=3 --timeout=1800

load: setup ## load-test the control plane (LOADTEST=folder of the load harness)
	@benchmarks/run_load.sh "$(LOADTEST)"

compose-up: ## bring the cluster up with docker compose; builds the images first (WORKERS=3 for a third worker)
	@WORKERS=$(WORKERS) deploy/compose.sh up

compose-down: ## end the compose cluster; its volumes stay
	@deploy/compose.sh down

compose-test: setup ## bring the compose cluster up, use the guestbook on it, and remove it
	@$(BIN)/pytest -q tests/cluster/test_compose.py

offline-base: ## make the image debian:bookworm-slim with debootstrap, where no registry can be reached
	@deploy/offline-base.sh

clean: ## end the cluster and delete its data and caches (.venv stays)
	@if [ -x $(BIN)/mini-cluster ]; then $(BIN)/mini-cluster down --purge; fi
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
