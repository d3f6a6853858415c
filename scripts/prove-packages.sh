#!/bin/bash
# Proves that packages.txt is whole: runs a make target of the committed HEAD in a bare Debian 12.
#
# usage: scripts/prove-packages.sh [TARGET [DIR]]      (root; the package debootstrap)
#   TARGET  a make target; default: test
#   DIR     where the Debian goes, kept and used again; default: a temporary one, removed at the end
#
# Everything runs in its own mount and process namespace, which takes all mounts and daemons with
# it when it ends, however it ends: there is never a live mount under DIR to delete through, and
# nothing to unmount here. What needs the network (packages, Python dependencies) comes first; the
# target then runs in a network namespace of its own, away from this machine's Open vSwitch.
set -euo pipefail

readonly RELEASE=bookworm CHECKOUT=/root/crunchbed

say() { printf 'prove-packages: %s (%ds)\n' "$*" "$SECONDS"; }

fail() {
    printf 'prove-packages: %s\n' "$*" >&2
    exit 1
}

# The mirror, proxies, certificates and pip settings of this machine, whatever they are.
copy_access() {
    local path
    rm -rf "$1/etc/apt"
    for path in /etc/apt /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.config/pip /root/.pip \
        /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates /usr/share/keyrings; do
        [ -e "$path" ] || continue
        mkdir -p "$1$(dirname "$path")"
        cp -RLT "$path" "$1$path"
    done
}

access_environment() { env | grep -iE '^(pip_[a-z_]*|https?_proxy|no_proxy|ssl_cert_(file|dir))=' || true; }

make_debian() {
    local mirror
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^$RELEASE //p" | head -n 1)
    [ -n "$mirror" ] || fail "apt on this machine has no source for $RELEASE: see /etc/apt/sources.list"
    # git and make are what the README tells a user to have.
    debootstrap --include=ca-certificates,git,make "$RELEASE" "$1" "$mirror" >"$1.log" 2>&1 ||
        fail "debootstrap failed: see $1.log"
}

# Runs as the first process of its namespaces: inside ROOT COMMAND...
inside() {
    local root=$1
    shift
    mount -t proc proc "$root/proc"
    # A new sysfs shows the interfaces of this network namespace.
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mkdir -p "$root/run/lock"
    local -a settings
    mapfile -t settings < <(access_environment)
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${settings[@]}" \
        chroot "$root" "$@"
}

isolated() { unshare --mount --pid --fork --kill-child "$@"; }

timed_second_setup='start=$(date +%s%N); make setup; echo "second make setup: $((($(date +%s%N) - start) / 1000000)) ms"'

main() {
    local target=${1:-test} root=${2:-} self repo
    [ "$(id -u)" -eq 0 ] || fail "needs root"
    command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
    self=$(readlink -f "$0")
    repo=$(dirname "$(dirname "$self")")
    if [ -z "$root" ]; then
        root=$(mktemp -d /var/tmp/crunchbed-debian.XXXXXX)
        trap 'rm -rf --one-file-system "$root" "$root.log"' EXIT
    fi
    [ -e "$root/etc/debian_version" ] || make_debian "$root"
    copy_access "$root"
    rm -rf --one-file-system "${root:?}$CHECKOUT"
    git clone --quiet --no-hardlinks "$repo" "$root$CHECKOUT"
    say "bare Debian $(cat "$root/etc/debian_version") in $root, commit $(git -C "$repo" rev-parse --short HEAD)"
    isolated "$self" --inside "$root" make -C "$CHECKOUT" packages python
    say "make packages python: done"
    isolated --net "$self" --inside "$root" bash -ec \
        "ip link set lo up; cd $CHECKOUT; make $target; $timed_second_setup"
    say "make $target: passed on the packages of packages.txt alone"
}

if [ "${1-}" = --inside ]; then
    shift
    inside "$@"
else
    main "$@"
fi
