# shellcheck shell=bash
# Sourced by machines.sh: what guests have beside their initramfs where the disk is reached by NVMe over TCP.
#
#   RELEASE/initramfs-nvme-tcp  RELEASE/initramfs and the modules of the initiator, for a node
#   RELEASE/initramfs-nvmet     RELEASE/initramfs, the modules of the target and of virtio, and /storage-init, for the
#                               guest that serves the disk

readonly NVME_DRIVERS=(nvme_tcp)
readonly STORAGE_DRIVERS=(virtio_pci virtio_blk virtio_net nvmet_tcp)

# join_modules RELEASE VARIANT TREE DRIVER...: RELEASE/initramfs-VARIANT, with the files of TREE; nothing where the
# kernel has not all of the drivers.
join_modules() {
    local release=$1 variant=$2 tree=$3 joined=$DIR/$1/initramfs-$2
    mkdir -p "$tree/modules"
    add_drivers "$release" "$tree/modules" "$variant.list" "${@:4}" || return 0
    pack "$tree" "$DIR/$release/more.cpio.gz"
    cat "$DIR/$release/initramfs" "$DIR/$release/more.cpio.gz" >"$joined.new"
    rm "$DIR/$release/more.cpio.gz"
    mv "$joined.new" "$joined"
}

# join_nvme NAME
join_nvme() {
    local release tree key
    release=$(readlink "$DIR/$1")
    tree=$DIR/$release/nvme-tree
    key=$(cat "$DIR/$release/key" && key_of scripts/machines-nvme.sh)
    [ "$(cat "$DIR/$release/nvme.key" 2>/dev/null)" = "$key" ] && return
    rm -rf "$tree" "$DIR/$release"/initramfs-{nvme-tcp,nvmet}
    join_modules "$release" nvme-tcp "$tree" "${NVME_DRIVERS[@]}"
    rm -rf "$tree"
    install -D "$SOURCES/storage-init" "$tree/storage-init"
    join_modules "$release" nvmet "$tree" "${STORAGE_DRIVERS[@]}"
    rm -rf "$tree"
    printf '%s\n' "$key" >"$DIR/$release/nvme.key"
}
