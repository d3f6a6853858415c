#!/bin/bash
# `make machines`: QEMU, kernels from Debian's packages, and for each kernel our module and an initramfs.
#
#   scripts/machines.sh                                the kernels below, those that are missing
#   scripts/machines.sh NAME IMAGE MODULES [HEADERS]   your own: vmlinuz, /lib/modules/RELEASE, its headers
#                                                      (MODULES/build). A NAME of - stands for one made of its
#                                                      release and contents; stdout says the name.
#
# What is made is in build/machines, or in $CRUNCHBED_MACHINES:
#
#   NAME -> RELEASE       for example 6.1 -> 6.1.0-56-amd64
#   RELEASE/vmlinuz       the kernel
#   RELEASE/initramfs     busybox, the agent, the module, the drivers of cards
#   RELEASE/initramfs-corosync  the same with corosync; see machines-corosync.sh
#   RELEASE/initramfs-iscsi  the same with open-iscsi: see machines-iscsi.sh
#   RELEASE/initramfs-nvme-tcp  the same with nvme-tcp, and initramfs-nvmet for its target: see machines-nvme.sh
#   RELEASE/shared        the version of what guest and host share (nodes/guest/shared.h)
#   RELEASE/cards         the cards for which this kernel has drivers, one a line, as QEMU names them
#   own/KEY/RELEASE       the same of your own kernels; another image, other drivers or headers: another KEY
#
# With KERNELS in the environment (KERNELS="6.1 6.1-cloud") those of the kernels below alone. A call that was
# killed is made good by the next one: a kernel that was not fetched whole is fetched again.
# A kernel that is there is not looked for again; what is made of our sources is made again when they
# change. To have the newest kernel, remove its directory. Nothing here changes what this machine boots.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly WANTED=${KERNELS-}
readonly KNOWN=(
    "6.1 linux-image-amd64"
    "6.1-cloud linux-image-cloud-amd64"
    "6.12 linux-image-amd64/bookworm-backports"
)
# QEMU's names of cards, and the drivers in the order in which they are to be loaded. One driver is enough for
# a card to be there: the cloud kernel has virtio built in.
readonly CARDS=(
    "e1000 e1000"
    "e1000e e1000e"
    "rtl8139 8139cp"
    "vmxnet3 vmxnet3"
    "virtio-net-pci virtio_pci virtio_net"
)
readonly SOURCES=nodes/guest
readonly OLDEST=6.1  # the oldest kernel that our module is for
APT_READY=''  # whether the lists of packages were read in this call
DIR=$(realpath -m "${CRUNCHBED_MACHINES:-build/machines}")
readonly DIR LOG=$DIR/log
. scripts/machines-programs.sh
. scripts/machines-corosync.sh
. scripts/machines-iscsi.sh
. scripts/machines-nvme.sh

say() { printf 'machines: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

refuse() {
    say "$*"
    exit 2
}

free_mib() { echo $(($(df --output=avail -B1 "$DIR" | tail -n 1) / 1048576)); }

# Asked first, for on a disk that is full apt goes on forever.
readonly ROOM_MIB=700 # for lists of packages, and for a kernel while it is unpacked
enough_room() {
    [ "$(free_mib)" -ge $ROOM_MIB ] || fail "$ROOM_MIB MiB are needed in $DIR, and $(free_mib) MiB are free"
}

# tried COMMAND...: appends its output to the log.
tried() {
    printf '\n== %s  %s\n' "$(date -Is)" "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null
}

# logged COMMAND...: the same, and its failure ends this script.
logged() {
    tried "$@" && return
    [ "$(free_mib)" -gt 0 ] || fail "no room is left on the disk of $DIR"
    tail -n 12 "$LOG" | sed 's/^/    /' >&2
    fail "failed: $* (all output: $LOG)"
}

# ---- kernels from packages

# apt with lists of its own: backports need not be among this machine's sources, and are not added to them.
apt_options() {
    printf '%s\n' -o "Dir::Etc::SourceList=$DIR/apt/sources.list" -o "Dir::Etc::SourceParts=$DIR/apt/parts" \
        -o "Dir::State::Lists=$DIR/apt/lists" -o "Dir::Cache=$DIR/apt/cache" -o APT::Sandbox::User=root
}

prepare_apt() {
    local mirror backports=$DIR/apt/parts/crunchbed-backports.list
    [ -z "$APT_READY" ] || return 0
    enough_room
    rm -rf "$DIR/apt"
    mkdir -p "$DIR"/apt/{parts,lists/partial,cache/archives/partial}
    if [ -e /etc/apt/sources.list ]; then cp /etc/apt/sources.list "$DIR/apt"; fi
    cp -L /etc/apt/sources.list.d/*.{list,sources} "$DIR/apt/parts" 2>/dev/null || true
    # shellcheck disable=SC2016  # apt expands these
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^bookworm //p' | head -n 1)
    [ -n "$mirror" ] || fail "apt on this machine has no source for bookworm: see /etc/apt/sources.list"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm-backports main\n' \
        "$mirror" >"$backports"
    if ! tried apt-get "${APT[@]}" update; then
        rm "$backports"
        logged apt-get "${APT[@]}" update
    fi
    # apt calls it no failure that a mirror does not answer.
    compgen -G "$DIR/apt/lists/*_bookworm_*_Packages*" >/dev/null ||
        fail "no list of packages came from $mirror: is the network there? (all output: $LOG)"
    APT_READY=yes
}

# depends PACKAGE[/SUITE] PATTERN: the name of the first dependency that matches, or nothing.
depends() {
    { apt-cache "${APT[@]}" depends "$1" 2>>"$LOG" || true; } |
        sed -nE "/^ *\|?Depends: $2\$/ { s/.* //; p; q }"
}

# unpack RELEASE DIRECTORY: the kernel, its modules and its headers.
unpack() {
    local release=$1 root=$2 headers=linux-headers-$1 package
    local -a packages=("linux-image-$release" "$headers" "$(depends "$headers" 'linux-headers-.*-common')"
        "$(depends "$headers" 'linux-kbuild-.*')")
    mkdir -p "$root/packages"
    (cd "$root/packages" && logged apt-get "${APT[@]}" download "${packages[@]}")
    for package in "$root"/packages/*.deb; do
        logged dpkg-deb -x "$package" "$root"
    done
    rm -r "$root/packages"
    # With it the build would describe our module's types, for which it wants pahole.
    rm -f "$root/usr/src/$headers/vmlinux"
}

# fetch NAME METAPACKAGE: nothing where that is not had, or is a kernel of another series by now.
fetch() {
    local name=$1 meta=$2 image release
    [ -e "$DIR/$name/vmlinuz" ] && return
    prepare_apt
    image=$(depends "$meta" "linux-image-${name%%-*}\\..*")
    [ -n "$image" ] || return 0
    release=${image#linux-image-}
    if ! [ -e "$DIR/$release/vmlinuz" ]; then
        enough_room
        say "$name: fetching $release"
        rm -rf "${DIR:?}/$release" "$DIR/$release.partial"
        mkdir -p "$DIR/$release.partial/root"
        unpack "$release" "$DIR/$release.partial/root"
        # The headers of a flavour include the common ones by an absolute path.
        sed -i "s|include /usr/src|include $DIR/$release/root/usr/src|" \
            "$DIR/$release.partial/root/usr/src/linux-headers-$release/Makefile"
        ln "$DIR/$release.partial/root/boot/vmlinuz-$release" "$DIR/$release.partial/vmlinuz"
        ln -s "root/usr/src/linux-headers-$release" "$DIR/$release.partial/headers"
        logged depmod -b "$DIR/$release.partial/root" "$release"
        mv "$DIR/$release.partial" "$DIR/$release"
    fi
    ln -sfn "$release" "$DIR/$name"
}

# check_wanted: says which name in $KERNELS is no kernel of ours.
check_wanted() {
    local name
    for name in $WANTED; do
        [[ " ${KNOWN[*]%% *} " = *" $name "* ]] || refuse "KERNELS: expected some of ${KNOWN[*]%% *}, got $name"
    done
}

# ---- the user's own kernel

# part FILE OFFSET BYTES
part() { dd if="$1" bs=1 skip="$2" count="$3" status=none; }

# image_release IMAGE: the release that a bzImage is of (Documentation/arch/x86/boot.rst), or nothing.
image_release() {
    [ "$(part "$1" 514 4 | tr -d '\0')" = HdrS ] || return 0
    part "$1" $(($(part "$1" 526 2 | od -An -tu2) + 512)) 128 | tr '\0' '\n' | sed -n '1s/ .*//p'
}

# modules_release MODULES: what the first module says that it is for; where none says it, the folder's name.
modules_release() {
    local modules=$1 first found=''
    first=$modules/$(sed -n 1p "$modules/modules.order")
    for first in "$first" "$first".{xz,zst,gz}; do
        [ -f "$first" ] || continue
        found=$(plain "$first" | grep -ao -m 1 'vermagic=[^ ]*' | tr -d '\0') || true
    done
    echo "${found:-=$(basename "$(realpath "$modules")")}" | cut -d= -f2
}

# has MODULES DRIVER...: whether a kernel has these drivers, as modules or built in.
has() {
    local modules=$1 driver
    for driver in "${@:2}"; do
        grep -qsE "/$driver\.ko" "$modules"/modules.{order,builtin} || return 1
    done
}

# has_card MODULES: whether a kernel has the drivers of one of the cards.
has_card() {
    local line
    for line in "${CARDS[@]}"; do
        # shellcheck disable=SC2086  # a word for each driver
        ! has "$1" ${line#* } || return 0
    done
    return 1
}

# check_own NAME IMAGE MODULES [HEADERS]: says what is wrong with them, before anything is made.
check_own() {
    local name=$1 image=$2 modules=$3 headers=${4-} release other
    [ "$name" = - ] || [[ $name =~ ^[0-9A-Za-z][0-9A-Za-z.+_-]*$ ]] || refuse "$name: not a name for a kernel"
    case $name in log | lock | apt | agent | own | corosync | iscsi) refuse "$name: not a name for a kernel" ;; esac
    [ -L "$DIR/$name" ] || ! [ -e "$DIR/$name" ] || refuse "$name: not a name for a kernel"
    [ -f "$image" ] || refuse "$image: no such kernel image"
    release=$(image_release "$image")
    [[ $release =~ ^[0-9]+\.[0-9A-Za-z.+_~-]+$ ]] || refuse "$image: not a kernel image (a bzImage, as vmlinuz is)"
    printf '%s\n' "$OLDEST" "$release" | sort -C -V ||
        refuse "$image: Linux $release is older than $OLDEST, the oldest that our module is for"
    [ -e "$modules/modules.order" ] || refuse "$modules: not the modules of a kernel, as /lib/modules/$release is"
    other=$(modules_release "$modules")
    [ "$release" = "$other" ] || refuse "$modules: modules of $other, and $image is of $release"
    has "$modules" nbd || refuse "$modules: no driver nbd, by which machines reach their disk (CONFIG_BLK_DEV_NBD)"
    has_card "$modules" || refuse "$modules: no driver of a card that machines can have: ${CARDS[*]#* }"
    [ -n "$headers" ] || [ -e "$modules/build/Module.symvers" ] ||
        { say "$modules/build: no headers to build a module with: install linux-headers-$release, or name the" \
            "folder in which this kernel was built" && exit 4; }
    headers=${headers:-$modules/build}
    [ -e "$headers/Module.symvers" ] || refuse "$headers: no headers to build a module with (no Module.symvers)"
    other=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$headers/include/generated/utsrelease.h" 2>/dev/null) ||
        refuse "$headers: the headers do not say their release"
    [ "$release" = "$other" ] || refuse "$headers: headers of $other, and $image is of $release"
}

# own_key FOLDER: changes when the image, a driver that machines load, or what a module is built against does.
own_key() {
    local line driver
    {
        cat "$1/vmlinuz" "$1/headers/Module.symvers" "$1/headers/include/generated/autoconf.h"
        for line in "nbd nbd" "${CARDS[@]}"; do
            for driver in ${line#* }; do
                plan "${1#"$DIR/"}" "$driver" | sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
            done
        done | sort -u | xargs -r cat
    } | sha256sum | cut -c -8
}

# own NAME IMAGE MODULES [HEADERS]: sets OWN to the name. The drivers and headers stay where they are, and are
# asked for again with every call.
own() {
    local name=$1 image=$2 modules=$3 headers=${4:-$3/build} release new tree key
    release=$(image_release "$image")
    new=$DIR/own/new/$release
    tree=$new/root/lib/modules/$release
    rm -rf "$DIR/own/new"
    mkdir -p "${tree%/*}"
    cp "$image" "$new/vmlinuz"
    ln -s "$(realpath "$headers")" "$new/headers"
    if [ -e "$modules/modules.dep.bin" ]; then
        ln -s "$(realpath "$modules")" "$tree"
    else
        mkdir "$tree"
        cp "$modules"/modules.{order,builtin}* "$tree"
        ln -s "$(realpath "$modules")/kernel" "$tree/kernel"
        logged depmod -b "$new/root" "$release"
    fi
    key=$(own_key "$new")
    rm -rf "$DIR/own/$key/$release"/{root,headers}
    mkdir -p "$DIR/own/$key/$release"
    mv "$new"/* "$DIR/own/$key/$release"
    rm -r "$DIR/own/new"
    OWN=$name
    [ "$name" != - ] || OWN=own-${release//\~/_}-$key
    ln -sfn "own/$key/$release" "$DIR/$OWN"
}

# ---- what is made of our sources

# key_of PATH...: changes when a file does.
key_of() { find "$@" -type f ! -name '*.py' ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum; }

build_module() {
    local release=$1 work=$DIR/$1/module key
    key=$(key_of $SOURCES/module $SOURCES/shared.h)
    [ "$(cat "$work/key" 2>/dev/null)" = "$key" ] && return
    rm -rf "$work"
    mkdir -p "$work"
    cp -R $SOURCES/module $SOURCES/shared.h "$work"
    say "building the module for $(basename "$release") (output: $LOG)"
    logged make -C "$DIR/$release/headers" "M=$work/module" modules
    printf '%s\n' "$key" >"$work/key"
}

# plan RELEASE DRIVER: lines of "insmod PATH" in the order of loading; fails where there is no such driver.
plan() { modprobe -d "$DIR/$1/root" -S "$(basename "$1")" --show-depends "$2" 2>>"$LOG"; }

# plain FILE: a module, decompressed.
plain() {
    case $1 in
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -qdc "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
    esac
}

# add_modules DIRECTORY LIST: decompresses the modules of the plan that it reads, and lists their names.
add_modules() {
    local modules=$1 list=$2 action path name
    while read -r action path _; do
        [ "$action" = insmod ] || continue
        name=$(basename "$path")
        name=${name%%.ko*}
        { plain "$path" >"$modules/$name.ko" && strip --strip-debug "$modules/$name.ko"; } ||
            fail "cannot unpack $path"
        grep -qx "$name" "$list" || echo "$name" >>"$list"
    done
}

build_drivers() {
    local release=$1 modules=$2 line card
    add_drivers "$release" "$modules" nbd.list nbd || fail "$release has no nbd"
    : >"$DIR/$release/cards"
    for line in "${CARDS[@]}"; do
        card=${line%% *}
        # shellcheck disable=SC2086  # a word for each driver
        if add_drivers "$release" "$modules" "$card.list" ${line#* }; then
            echo "$card" >>"$DIR/$release/cards"
        else
            rm "$modules/$card.list"
        fi
    done
}

# add_drivers RELEASE MODULES LIST DRIVER...: drivers with all that they need; fails where the kernel lacks one.
add_drivers() {
    local release=$1 modules=$2 list=$2/$3 driver steps
    : >"$list"
    for driver in "${@:4}"; do
        steps=$(plan "$release" "$driver") || return
        # What makes a checksum faster is asked for too, and needs a processor that has such instructions.
        add_modules "$modules" "$list" < <(grep -v -e -pclmul <<<"$steps")
    done
}

# pack TREE FILE
pack() { (cd "$1" && find . -print0 | sort -z | cpio --null -o -H newc --quiet | gzip -9n) >"$2"; }

build_initramfs() {
    local release=$1 tree=$DIR/$1/tree
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,dev,proc,sys,modules}
    cp /bin/busybox "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    for applet in mount cat grep insmod ip usleep; do ln -s busybox "$tree/bin/$applet"; done
    cp $SOURCES/init "$tree/init"
    cp "$DIR/agent" "$tree/agent"
    strip --strip-debug -o "$tree/modules/crunchbed.ko" "$DIR/$release/module/module/crunchbed.ko"
    build_drivers "$release" "$tree/modules"
    pack "$tree" "$DIR/$release/initramfs.new"
    rm -rf "$tree"
}

# build NAME
build() {
    local release key
    release=$(readlink "$DIR/$1")
    key=$(key_of $SOURCES scripts/machines.sh)
    [ -e "$DIR/$release/initramfs" ] && [ "$(cat "$DIR/$release/key")" = "$key" ] && return
    say "$1: making the guest of Linux $(basename "$release")"
    logged make -C $SOURCES/agent OUT="$DIR"
    build_module "$release"
    build_initramfs "$release"
    mv "$DIR/$release/initramfs.new" "$DIR/$release/initramfs"
    sed -n 's/^#define CB_VERSION[[:space:]]*//p' $SOURCES/shared.h >"$DIR/$release/shared"
    printf '%s\n' "$key" >"$DIR/$release/key"
}

# ----

case $# in
0) ;;
3 | 4) check_own "$@" ;;
*) refuse "usage: scripts/machines.sh [NAME IMAGE MODULES [HEADERS]]" ;;
esac
[ $# -gt 0 ] || check_wanted
[ "$(id -u)" -eq 0 ] || fail "needs root: it installs packages"
mkdir -p "$DIR"
touch "$LOG"
mapfile -t APT < <(apt_options)
scripts/setup.sh packages packages-machines.txt
exec 9>"$DIR/lock"
flock -n 9 || say "waiting for the end of another call"
flock 9
prepare_programs corosync build_corosync "${COROSYNC_PACKAGES[@]}"
prepare_programs iscsi build_iscsi "${ISCSI_PACKAGES[@]}"
if [ $# -gt 0 ]; then
    own "$@"
    build "$OWN"
    join_corosync "$OWN"
    join_iscsi "$OWN"
    join_nvme "$OWN"
    echo "$OWN"
    exit
fi
for kernel in "${KNOWN[@]}"; do
    read -r name meta <<<"$kernel"
    [[ -z $WANTED || " $WANTED " = *" $name "* ]] || continue
    fetch "$name" "$meta"
    if [ -e "$DIR/$name/vmlinuz" ]; then
        build "$name"
        join_corosync "$name"
        join_iscsi "$name"
        join_nvme "$name"
    else
        say "$name: this machine's mirror has no $meta of that series; going on without it"
    fi
done
