# shellcheck shell=bash
# Sourced by machines.sh: what a guest has beside its initramfs where corosync is its membership.
#
#   corosync/root              Debian's packages, unpacked; this machine gets none of them
#   corosync/version           of corosync, as Debian has it
#   corosync/cpio.gz           corosync, our watcher, and the libraries of both: for every kernel
#   RELEASE/initramfs-corosync RELEASE/initramfs and corosync/cpio.gz, which a kernel unpacks both

readonly COROSYNC_PACKAGES=(
    # what runs
    corosync libcorosync-common4 libcmap4 libquorum5 libknet1 libnozzle1 libqb100 libstatgrab10
    libnl-3-200 libnl-route-3-200 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1
    libc6 libgcc-s1
    # what the watcher is built with
    libcmap-dev libquorum-dev libcorosync-common-dev libqb-dev
)
readonly LIBRARIES=x86_64-linux-gnu

# fetch_corosync: fails where this machine's mirror has not all of its packages.
fetch_corosync() {
    local root=$DIR/corosync/root package
    [ -d "$root" ] && return
    prepare_apt
    say "corosync: fetching it"
    rm -rf "$DIR/corosync"
    mkdir -p "$DIR/corosync/packages" "$root.partial"
    (cd "$DIR/corosync/packages" && tried apt-get "${APT[@]}" download "${COROSYNC_PACKAGES[@]}") || return
    for package in "$DIR"/corosync/packages/*.deb; do
        logged dpkg-deb -x "$package" "$root.partial"
    done
    dpkg-deb -f "$DIR"/corosync/packages/corosync_*.deb Version >"$DIR/corosync/version"
    rm -r "$DIR/corosync/packages"
    mv "$root.partial" "$root"
}

# add_file ROOT TREE FILE: a file of ROOT and the libraries that it needs, each at the place that it has there.
add_file() {
    local root=$1 tree=$2 file=$3 name found
    [ -e "$tree/$file" ] && return
    install -D "$root/$file" "$tree/$file"
    for name in $(objdump -p "$root/$file" | sed -n 's/^ *NEEDED *//p'); do
        found=$(cd "$root" && find . -path "*/$LIBRARIES/$name" -print -quit)
        [ -n "$found" ] || fail "corosync: none of its packages has $name"
        add_file "$root" "$tree" "$found"
    done
}

# build_corosync: corosync/cpio.gz
build_corosync() {
    local root=$DIR/corosync/root tree=$DIR/corosync/tree key
    key=$(key_of "$SOURCES" scripts/machines.sh scripts/machines-corosync.sh)
    [ "$(cat "$DIR/corosync/key" 2>/dev/null)" = "$key" ] && return
    rm -rf "$tree"
    mkdir -p "$tree"/{lib64,run,etc/corosync,var/lib/corosync}
    ln -s ../run "$tree/var/run"
    logged make -C "$SOURCES/watcher" OUT="$root" ROOT="$root"
    add_file "$root" "$tree" watcher
    add_file "$root" "$tree" usr/sbin/corosync
    add_file "$root" "$tree" lib/$LIBRARIES/libgcc_s.so.1 # threads that end want it
    ln -s ../lib/$LIBRARIES/ld-linux-x86-64.so.2 "$tree/lib64"
    find "$tree" -type f -exec strip --strip-unneeded {} +
    pack "$tree" "$DIR/corosync/cpio.gz"
    rm -rf "$tree"
    printf '%s\n' "$key" >"$DIR/corosync/key"
}

prepare_corosync() {
    if fetch_corosync; then
        build_corosync
    else
        say "this machine's mirror has not all packages of corosync; going on without it (log: $LOG)"
    fi
}

# join_corosync NAME
join_corosync() {
    local plain=$DIR/$1/initramfs more=$DIR/corosync/cpio.gz joined=$DIR/$1/initramfs-corosync
    [ -e "$more" ] || return 0
    if [ "$joined" -nt "$plain" ] && [ "$joined" -nt "$more" ]; then return; fi
    cat "$plain" "$more" >"$joined.new"
    mv "$joined.new" "$joined"
}
