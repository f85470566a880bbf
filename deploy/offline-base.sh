#!/bin/sh
# Makes the image debian:bookworm-slim with debootstrap, with every package that deploy/Dockerfile installs, for machines
# that reach Debian's mirror but no registry. The archive is kept in a cache folder and used again.
#   offline-base.sh          make the archive if need be, and import it into the engine
#   offline-base.sh archive  only make the archive
set -eu
cd "$(dirname "$0")/.."
. deploy/shell.sh
image=debian:bookworm-slim
packages=docker.io,iptables,nftables,conntrack,haproxy,iproute2,procps,etcd-server,python3,python3-venv,ca-certificates
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mini-kubernetes
archive=$cache/bookworm-slim-$(printf %s "$packages" | cksum | cut -d " " -f 1).tar  # other packages: another archive

make_archive() {
    [ "$(id -u)" = 0 ] || { say "error: debootstrap needs root: sudo make offline-base"; exit 1; }
    command -v debootstrap >/dev/null || install_packages debootstrap
    say "making $archive with debootstrap (about a minute)"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    quietly debootstrap --variant=minbase --include="$packages" bookworm "$root/base"
    rm -rf "$root"/base/var/lib/apt/lists/* "$root"/base/var/cache/apt/*.bin "$root"/base/var/cache/apt/archives/*.deb
    tar -C "$root/base" -cf "$archive.new" .
    mv "$archive.new" "$archive"
}

mkdir -p "$cache"
# Two at once: the second waits, and finds the first one's archive.
exec 9>"$cache/lock"
flock 9
[ -s "$archive" ] || make_archive
[ "${1:-}" = archive ] && exit 0
docker import "$archive" "$image" >/dev/null
say "imported $image"
