#!/bin/bash
# The command of the container of docker-compose.yml: setup for this kernel, then crunchbed.
#
# usage: scripts/container.sh ARGUMENT...     (the arguments of `crunchbed`)
set -euo pipefail
cd "$(dirname "$0")/.."

# scripts/setup.sh has its lock file there; a slim image has no such directory.
mkdir -p /run/lock
make --silent hooks services

# Heartbeats run at real-time priority. A kernel that rations real-time run time by cgroup (v1) gives
# a container none. So crunchbed moves to the machine's root group, where it would be without a container.
root_group=/sys/fs/cgroup/cpu
if [ -e "$root_group/cpu.rt_runtime_us" ]; then
    echo $$ >"$root_group/cgroup.procs"
fi
exec .venv/bin/crunchbed "$@"
