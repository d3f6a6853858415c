#!/bin/bash
# The steps of `make setup`. Each step does nothing when there is nothing to do.
# usage: scripts/setup.sh packages [FILE]|btf|python|services
set -euo pipefail
cd "$(dirname "$0")/.."

readonly STATE=.setup LOG=.setup/log
readonly PACKAGES=${2-packages.txt}
readonly POLICY=/usr/sbin/policy-rc.d POLICY_MARK='# made by crunchbed: make setup'

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# logged ADVICE COMMAND...: appends COMMAND's output to the log; if COMMAND fails, prints its last lines and exits.
logged() {
    local advice=$1 start
    shift
    start=$(wc -l <"$LOG")
    printf '\n== %s  %s\n' "$(date -Is)" "$*" >>"$LOG"
    # Descriptor 9 is the lock; daemons that outlive this script must not inherit it.
    if ! "$@" >>"$LOG" 2>&1 </dev/null 9>&-; then
        tail -n "+$((start + 2))" "$LOG" | tail -n 12 | sed 's/^/    /' >&2
        fail "failed: $* -- $advice (all output: $LOG)"
    fi
}

wanted_packages() { sed -E 's/[[:space:]]*#.*//; /^$/d' "$PACKAGES"; }

# Names in the list of packages that are neither installed nor provided by an installed package.
missing_packages() {
    dpkg-query --show --showformat='${db:Status-Status} ${Package}, ${Provides}\n' |
        awk 'NR == FNR { if (sub(/^installed /, "")) { gsub(/ *\([^)]*\)|,/, ""); n = split($0, names, " ")
                         for (i = 1; i <= n; i++) have[names[i]] } next }
             !($1 in have) { print $1 }' - <(wanted_packages)
}

remove_policy() { if grep -qsF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi; }

# Some packages start a service that listens on every interface as soon as they are installed. Debian asks
# policy-rc.d first whether a service may start. A machine that already has a policy-rc.d keeps it.
deny_service_starts() {
    trap remove_policy EXIT
    # The terminal and make both send the signal; the second one must not interrupt the exit trap.
    trap 'trap "" INT TERM HUP; exit 130' INT TERM HUP
    [ -e "$POLICY" ] && return
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
}

# Services that are enabled would start at the next boot. Only Open vSwitch is needed as a service.
disable_services() {
    local package unit
    command -v systemctl >/dev/null || return 0
    for package in "$@"; do
        [ "$package" = openvswitch-switch ] && continue
        for unit in $(dpkg --listfiles "$package" | grep -E '/systemd/system/[^/@]+\.service$'); do
            logged "disable it by hand" systemctl disable "$(basename "$unit")"
        done
    done
}

packages() {
    local missing
    command -v apt-get >/dev/null || fail "no apt-get here: this works on Debian 12 (and, untried, on Ubuntu 24.04)"
    remove_policy
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    say "packages: installing ${missing[*]} (minutes; log: $LOG)"
    export DEBIAN_FRONTEND=noninteractive
    deny_service_starts
    logged "is a package mirror reachable?" apt-get -o DPkg::Lock::Timeout=300 update
    logged "is each name in $PACKAGES known to this release?" \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
    disable_services "${missing[@]}"
}

btf() {
    [ -r /sys/kernel/btf/vmlinux ] ||
        fail "this kernel describes no types (/sys/kernel/btf/vmlinux): boot one with CONFIG_DEBUG_INFO_BTF=y"
    say "hooks: reading the types of kernel $(uname -r)"
    bpftool btf dump file /sys/kernel/btf/vmlinux format c
}

python() {
    local key
    key=$({ pwd && readlink -f /usr/bin/python3 && cat requirements.txt pyproject.toml; } | sha256sum)
    [ -x .venv/bin/crunchbed ] && [ "$(cat "$STATE/python" 2>/dev/null)" = "$key" ] && return
    say "python: installing locked dependencies into .venv (log: $LOG)"
    # The system's Python, even if another one is first in the path: it has Mininet and libnbd.
    .venv/bin/python -c '' 2>/dev/null ||
        logged "is python3-venv whole?" /usr/bin/python3 -m venv --clear --system-site-packages .venv
    logged "is a Python package index reachable?" \
        .venv/bin/python -m pip install --require-hashes -r requirements.txt
    logged "see the log" .venv/bin/python -m pip install --no-deps --no-build-isolation --no-index -e .
    printf '%s\n' "$key" >"$STATE/python"
}

switch_answers() {
    ovs-appctl --timeout=2 -t ovs-vswitchd version && ovs-vsctl --timeout=2 --no-wait show
} >/dev/null 2>&1

services() {
    if ! grep -q ' /sys/fs/bpf bpf ' /proc/self/mounts; then
        say "services: mounting /sys/fs/bpf"
        logged "has this kernel CONFIG_BPF_SYSCALL=y?" mount -t bpf bpf /sys/fs/bpf
    fi
    if ! switch_answers; then
        say "services: starting Open vSwitch"
        # A kernel module that cannot be loaded is no failure: Open vSwitch has a userspace datapath.
        logged "see the log and /var/log/openvswitch" \
            /usr/share/openvswitch/scripts/ovs-ctl start --system-id=random
        switch_answers || fail "Open vSwitch started but does not answer; see /var/log/openvswitch"
    fi
}

[ "$(id -u)" -eq 0 ] || fail "needs root: it installs packages, starts Open vSwitch and loads kernel hooks"
mkdir -p "$STATE"
touch "$LOG"
# One setup at a time on a machine: apt, policy-rc.d and Open vSwitch are shared.
exec 9>/run/lock/crunchbed-setup
flock 9
case "${1-}" in
packages | btf | python | services) "$1" ;;
*) fail "usage: scripts/setup.sh packages [FILE]|btf|python|services" ;;
esac
