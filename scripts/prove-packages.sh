#!/bin/bash
# Shows that packages.txt is complete: runs a make target of the committed HEAD in a bare Debian 12.
#
#   make prove WHAT=packages [ARGS="TARGET [DIR]"]      (root; the package debootstrap; 2 GB in /var/tmp)
#
#   TARGET  a make target; default: test
#   DIR     where the bare Debian is kept for the next time; the target runs on a copy of it
#
# The target runs in a mount namespace and a process namespace of its own. When these end, for whatever
# reason, their mounts and daemons end too. So no mount is visible outside, where removing the files could
# follow it, and nothing has to be unmounted. Packages and Python dependencies are installed first, since
# they need the network; the target then has a network namespace of its own, without this machine's Open vSwitch.
set -euo pipefail

readonly CHECKOUT=/srv/crunchbed
# shellcheck source=scripts/debian.sh
source "$(dirname "$(readlink -f "$0")")/debian.sh"

say() { printf 'prove-packages: %s (%ds)\n' "$*" "$SECONDS"; }

fail() {
    printf 'prove-packages: %s\n' "$*" >&2
    exit 1
}

# inside ROOT COMMAND...: runs as the first process of its namespaces.
inside() {
    local root=$1
    shift
    # Mininet makes every mount of its hosts private, beginning with /, which therefore must be a mount.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    # A sysfs shows the interfaces of the network namespace in which it was mounted.
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
    # shellcheck disable=SC2064  # expand the name now
    trap "rm -rf --one-file-system '$work'" EXIT
    root=$work/root
    local bare=${2:-$work/bare}
    # The README asks a user to have git and make.
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
