# What the scripts of the set-up share; they source it in the project's folder.

# Where installers' chatter goes. Another user's log (root's, say) is left alone.
log=$PWD/.setup.log
{ true >>"$log"; } 2>/dev/null || log=$(mktemp)

say() { printf '%s\n' "$*" >&2; }

# Runs a command, its output in the log; says where that is when it fails.
quietly() {
    printf '$ %s\n' "$*" >>"$log"
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        say "error: \`$(printf '%.100s' "$*")\` failed; what it printed is in $log"
        return 1
    fi
}

# $@: Debian's packages. Installs them, or says how.
install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "error: missing: $*. On Debian or Ubuntu, as root:"
        say "  apt-get update && apt-get install -y --no-install-recommends $*"
        return 1
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    # The lists of packages are fetched only when the ones at hand don't do.
    apt-get install -y -q --no-install-recommends "$@" >>"$log" 2>&1 </dev/null ||
        { quietly apt-get update -q && quietly apt-get install -y -q --no-install-recommends "$@"; }
}
