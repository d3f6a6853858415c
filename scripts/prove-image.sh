#!/bin/bash
# Shows that the image of docker-compose.yml works: builds it and runs it once, with Debian's Docker engine
# and docker-compose, on a Debian that debootstrap makes here. No image is pulled. The engine is unpacked and
# not installed, so nothing of it stays on the machine.
#
#   make prove WHAT=image [ARGS="ARGUMENT..."]     (root; debootstrap, docker-compose; 5 GB in /var/tmp)
#
#   ARGUMENT  argument of crunchbed in the container; default: a short run of the scenario control
set -euo pipefail

REPO=$(dirname "$(dirname "$(readlink -f "$0")")")
readonly REPO ENGINE=(docker.io containerd runc tini)
# shellcheck source=scripts/debian.sh
source "$REPO/scripts/debian.sh"

say() { printf 'prove-image: %s (%ds)\n' "$*" "$SECONDS"; }

fail() {
    printf 'prove-image: %s\n' "$*" >&2
    exit 1
}

unpack_engine() {
    local package
    mkdir -p "$1/packages"
    (cd "$1/packages" && apt-get download -q "${ENGINE[@]}" >"$1/packages.log" 2>&1) ||
        fail "cannot download ${ENGINE[*]}: $(tail -n 1 "$1/packages.log")"
    for package in "$1"/packages/*.deb; do
        dpkg -x "$package" "$1/engine"
    done
    export PATH="$1/engine/usr/bin:$1/engine/usr/sbin:$PATH"
}

# An engine for this proof alone: it makes no bridge and touches no firewall. Its clients read DOCKER_HOST.
start_engine() {
    dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/socket" \
        --bridge=none --iptables=false --ip6tables=false >"$1/dockerd.log" 2>&1 &
    engine=$!
    export DOCKER_HOST="unix://$1/socket"
    for _ in {1..60}; do
        docker version >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.5
    done
    fail "dockerd does not answer: $(tail -n 3 "$1/dockerd.log")"
}

stop_engine() {
    [ -n "${engine-}" ] || return 0
    kill "$engine" 2>/dev/null || return 0
    wait "$engine" 2>/dev/null || true
}

finish() {
    stop_engine
    umount "$1/exec/netns/default" 2>/dev/null || true # dockerd leaves its own network namespace there
    rm -rf --one-file-system "$1"
}

import_base() {
    local base
    base=$(sed -n 's/^ARG BASE=//p' "$REPO/Dockerfile")
    make_debian "$1/debian" --variant=minbase --include=ca-certificates
    copy_access "$1/debian"
    tar -C "$1/debian" -c . | docker import - "$base" >/dev/null
    say "$base, as debootstrap makes it: Debian $(cat "$1/debian/etc/debian_version")"
}

# Capabilities that this shell lacks. No container can have these, and so none can be `privileged`.
lacking() {
    local bounding number=0 name
    bounding=$((16#$(sed -n 's/^CapBnd:\t//p' /proc/self/status)))
    for name in CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
        LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER \
        SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE \
        SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
        MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
        CHECKPOINT_RESTORE; do
        ((bounding >> number++ & 1)) || printf '%s\n' "$name"
    done
}

# Runs `crunchbed ARGUMENT...` in the container: by docker-compose where a container can be privileged;
# otherwise with every privilege that this machine has, option by option, and the volumes of docker-compose.yml.
run_once() {
    local -a missing options=()
    local name
    mapfile -t missing < <(lacking)
    if [ ${#missing[@]} -eq 0 ]; then
        "${compose[@]}" run --rm --no-deps -T crunchbed "$@"
        return
    fi
    say "no container can be privileged here, without ${missing[*]}: all the rest of it instead"
    for name in "${missing[@]}"; do options+=(--cap-drop "$name"); done
    for name in /run/crunchbed /run/openvswitch /sys/fs/cgroup /sys/fs/bpf /dev /sys; do
        options+=(--volume "$name:$name")
    done
    docker run --rm --init --network host --pid host --cap-add ALL "${options[@]}" \
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm' \
        crunchbed:0.1.0 "$@"
}

main() {
    local work
    [ "$(id -u)" -eq 0 ] || fail "needs root"
    command -v docker-compose >/dev/null || fail "needs docker-compose: apt-get install docker-compose"
    [ $# -gt 0 ] || set -- run control --set cluster.switch=linux-bridge --set phases.control=1s
    work=$(mktemp -d /var/tmp/crunchbed-image.XXXXXX)
    # shellcheck disable=SC2064  # expand the name now
    trap "finish '$work'" EXIT
    unpack_engine "$work"
    start_engine "$work"
    say "Docker engine $(docker version --format '{{.Server.Version}}')"
    import_base "$work"
    # The build uses this machine's network to reach the mirrors.
    printf 'services:\n  crunchbed:\n    build:\n      context: %s\n      network: host\n' "$REPO" \
        >"$work/override.yml"
    # No Grafana is started, but docker-compose.yml requires its password.
    compose=(env GRAFANA_PASSWORD=unused docker-compose --project-directory "$REPO"
        --file "$REPO/docker-compose.yml" --file "$work/override.yml")
    "${compose[@]}" build crunchbed >"$work/build.log" 2>&1 ||
        fail "the image cannot be built: $(tail -n 5 "$work/build.log")"
    say "built: $(docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' crunchbed)"
    run_once "$@"
    say "ran: crunchbed $*"
}

main "$@"
