#!/bin/sh
# A worker host in a container: prepares its network and cgroups, then runs its container engine.
set -eu
pod_network=10.244.0.0/16
service_network=10.96.0.0/16
dns_address=10.96.0.10

# The kubelet and kube-proxy that share this container's network see here whether they are still in it.
readlink /proc/self/ns/net >/run/host/netns

# Sysctls are read-only in a container that is not privileged.
[ -w /proc/sys/net/ipv4/ip_forward ] && [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || mount -o remount,rw /proc/sys
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
# Without this a Service's reply between two pods of this host would miss its address translation.
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi

# The DNS' address is the host's own: kube-dns answers the host's pods there.
ip address replace "$dns_address/32" dev lo

# Addresses that nobody has must not leave by the uplink of the machine. What a host sends to a Service's address passes
# kube-proxy's rules after it has found a route, so for Services it is a packet rule behind these.
ip route replace unreachable "$pod_network"
for chain in OUTPUT FORWARD; do
    [ "$chain" = OUTPUT ] && elsewhere="! -o lo" || elsewhere=
    reject() {
        # shellcheck disable=SC2086 # no word, or three
        iptables -w "$1" "$chain" $elsewhere -d "$service_network" -j REJECT --reject-with icmp-host-unreachable
    }
    reject -C 2>/dev/null || reject -A
done

# cgroup v2 allows either processes or children in a group: make room for the engine's children.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    while read -r pid; do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs || true; done </sys/fs/cgroup/cgroup.procs
    sed -e 's/^/+/' -e 's/ / +/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
fi

# The engine may die; the host goes on, because its network namespace is also its kubelet's and kube-proxy's.
engine=
trap 'kill -TERM $engine 2>/dev/null; wait $engine; exit 0' TERM INT
while :; do
    # Other processes may have the numbers in these by now: the engine would wait for them.
    rm -f /run/node/docker.pid /run/docker/containerd/containerd.pid
    dockerd \
        --host=unix:///run/node/docker.sock \
        --pidfile=/run/node/docker.pid \
        --data-root=/var/lib/docker \
        --bridge=none \
        --iptables=false \
        --ip6tables=false \
        --ip-masq=false \
        --live-restore \
        --exec-opt=native.cgroupdriver=cgroupfs \
        --log-level=warn &
    engine=$!
    wait $engine || echo "dockerd ended with exit code $?" >&2
    sleep 1
done
