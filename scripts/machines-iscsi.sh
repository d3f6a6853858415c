# shellcheck shell=bash
# Sourced by machines.sh: what a guest has beside its initramfs where its disk is an iSCSI one.
#
#   iscsi/                  see machines-programs.sh: open-iscsi and the libraries that it needs
#   RELEASE/iscsi.cpio.gz   the modules of this kernel
#   RELEASE/initramfs-iscsi RELEASE/initramfs and both, all of which a kernel unpacks

readonly ISCSI_PACKAGES=(
    open-iscsi libopeniscsiusr libisns0 libssl3 libkmod2 libmount1 libblkid1 libselinux1 libpcre2-8-0 libsystemd0
    libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1 libc6
)
# iscsi_tcp makes no connection without a crc32c, also where no digest is wanted.
readonly ISCSI_DRIVERS=(crc32c_generic iscsi_tcp sd_mod)

# build_iscsi: iscsi/cpio.gz
build_iscsi() {
    local root=$DIR/iscsi/root tree=$DIR/iscsi/tree key
    key=$(key_of "$SOURCES/iscsi-login" scripts/machines-iscsi.sh scripts/machines-programs.sh)
    [ "$(cat "$DIR/iscsi/key" 2>/dev/null)" = "$key" ] && return
    rm -rf "$tree"
    mkdir -p "$tree"/{lib64,run/lock,etc/iscsi}
    add_program "$root" "$tree" sbin/iscsid
    add_program "$root" "$tree" sbin/iscsiadm
    ln -s ../lib/$LIBRARIES/ld-linux-x86-64.so.2 "$tree/lib64"
    cp "$root/etc/iscsi/iscsid.conf" "$tree/etc/iscsi"
    echo 'root:x:0:0::/:/bin/sh' >"$tree/etc/passwd" # who asks the daemon must be root by name
    cp "$SOURCES/iscsi-login" "$tree"
    pack "$tree" "$DIR/iscsi/cpio.gz"
    rm -rf "$tree"
    printf '%s\n' "$key" >"$DIR/iscsi/key"
}

# build_iscsi_modules RELEASE: RELEASE/iscsi.cpio.gz, or nothing where the kernel has no iSCSI.
build_iscsi_modules() {
    local release=$1 tree=$DIR/$1/iscsi-tree
    mkdir -p "$tree/modules"
    add_drivers "$release" "$tree/modules" iscsi.list "${ISCSI_DRIVERS[@]}" || return 0
    pack "$tree" "$DIR/$release/iscsi.cpio.gz"
}

# join_iscsi NAME
join_iscsi() {
    local release joined
    release=$(readlink "$DIR/$1")
    joined=$DIR/$release/initramfs-iscsi
    [ -e "$DIR/iscsi/cpio.gz" ] || return 0
    if [ "$joined" -nt "$DIR/$release/initramfs" ] && [ "$joined" -nt "$DIR/iscsi/cpio.gz" ]; then return; fi
    build_iscsi_modules "$release"
    rm -rf "$DIR/$release/iscsi-tree"
    [ -e "$DIR/$release/iscsi.cpio.gz" ] || return 0
    cat "$DIR/$release/initramfs" "$DIR/iscsi/cpio.gz" "$DIR/$release/iscsi.cpio.gz" >"$joined.new"
    mv "$joined.new" "$joined"
}
