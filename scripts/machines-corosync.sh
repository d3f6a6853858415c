# shellcheck shell=bash
# Sourced by machines.sh: what a guest has beside its initramfs where corosync is its membership.
#
#   corosync/                  see machines-programs.sh: corosync, our watcher, and the libraries of both
#   RELEASE/initramfs-corosync RELEASE/initramfs and corosync/cpio.gz, which a kernel unpacks both

readonly COROSYNC_PACKAGES=(
    # what runs
    corosync libcorosync-common4 libcmap4 libquorum5 libknet1 libnozzle1 libqb100 libstatgrab10
    libnl-3-200 libnl-route-3-200 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1
    libc6 libgcc-s1
    # what the watcher is built with
    libcmap-dev libquorum-dev libcorosync-common-dev libqb-dev
)

# build_corosync: corosync/cpio.gz
build_corosync() {
    local root=$DIR/corosync/root tree=$DIR/corosync/tree key
    key=$(key_of "$SOURCES" scripts/machines.sh scripts/machines-corosync.sh scripts/machines-programs.sh)
    [ "$(cat "$DIR/corosync/key" 2>/dev/null)" = "$key" ] && return
    rm -rf "$tree"
    mkdir -p "$tree"/{lib64,run,etc/corosync,var/lib/corosync}
    ln -s ../run "$tree/var/run"
    logged make -C "$SOURCES/watcher" OUT="$root" ROOT="$root"
    add_program "$root" "$tree" watcher
    add_program "$root" "$tree" usr/sbin/corosync
    add_program "$root" "$tree" "lib/$LIBRARIES/libgcc_s.so.1" # threads that end want it
    ln -s ../lib/$LIBRARIES/ld-linux-x86-64.so.2 "$tree/lib64"
    pack "$tree" "$DIR/corosync/cpio.gz"
    rm -rf "$tree"
    printf '%s\n' "$key" >"$DIR/corosync/key"
}

# join_corosync NAME
join_corosync() {
    local plain=$DIR/$1/initramfs more=$DIR/corosync/cpio.gz joined=$DIR/$1/initramfs-corosync
    [ -e "$more" ] || return 0
    if [ "$joined" -nt "$plain" ] && [ "$joined" -nt "$more" ]; then return; fi
    cat "$plain" "$more" >"$joined.new"
    mv "$joined.new" "$joined"
}
