#!/bin/bash
# Proves that packages.txt is whole: runs a make target of the committed HEAD in a bare Debian 12.
#
# usage: scripts/prove-packages.sh [TARGET [DIR]]      (root; the package debootstrap; 2 GB in /var/tmp)
#   TARGET  a make target; default: test
#   DIR     keeps the bare Debian for the next time; the target runs on a copy of it
#
# The target runs in a mount and a process namespace of its own. They take all mounts and daemons
# with them when they end, however they end: outside of them there is never a live mount to delete
# through, and nothing to unmount. What needs the network (packages, Python dependencies) comes
# first; then the network is a namespace of its own too, away from this machine's Open vSwitch.
set -euo pipefail

readonly CHECKOUT=/srv/crunchbed
# shellcheck source=scripts/debian.sh
source "$(dirname "$(readlink -f "$0")")/debian.sh"

say() { printf 'prove-packages: %s (%ds)\n' "$*" "$SECONDS"; }

fail() {
    printf 'prove-packages: %s\n' "$*" >&2
    exit 1
}

# Runs as the first process of its namespaces: inside ROOT COMMAND...
inside() {
    local root=$1
    shift
    # Mininet makes every mount of its hosts private, from / on: that has to be a mount itself.
    mount --bind "$root" "$root"
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

# shellcheck disable=SC2016  # for the shell inside
timed_second_setup='start=$(date +%s%N); make setup; echo "second make setup: $((($(date +%s%N) - start) / 1000000)) ms"'

main() {
    local target=${1:-test} self repo work root
    [ "$(id -u)" -eq 0 ] || fail "needs root"
    self=$(readlink -f "$0")
    repo=$(dirname "$(dirname "$self")")
    work=$(mktemp -d /var/tmp/crunchbed-debian.XXXXXX)
    # shellcheck disable=SC2064  # the name as it is now
    trap "rm -rf --one-file-system '$work'" EXIT
    root=$work/root
    local bare=${2:-$work/bare}
    # git and make are what the README tells a user to have.
    [ -d "$bare" ] || make_debian "$bare" --include=ca-certificates,git,make
    cp -a --reflink=auto "$bare" "$root"
    copy_access "$root"
    git clone --quiet --no-hardlinks "$repo" "$root$CHECKOUT"
    say "bare Debian $(cat "$root/etc/debian_version"), commit $(git -C "$repo" rev-parse --short HEAD)"
    isolated "$self" --inside "$root" make -C "$CHECKOUT" packages python
    say "packages and Python dependencies are in"
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
