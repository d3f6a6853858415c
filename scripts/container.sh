#!/bin/bash
# What the container of docker-compose.yml runs: setup for this kernel, then crunchbed.
#
# usage: scripts/container.sh ARGUMENT...     (as the shell would give them to `crunchbed`)
set -euo pipefail
cd "$(dirname "$0")/.."

# The lock of scripts/setup.sh; a slim image has no /run/lock.
mkdir -p /run/lock
make --silent hooks services

# Heartbeats run at real-time priority. Where the kernel rations that by cgroup (v1) a container has
# none of it, so what is to come belongs to the machine's own group, as without a container.
root_group=/sys/fs/cgroup/cpu
if [ -e "$root_group/cpu.rt_runtime_us" ]; then
    echo $$ >"$root_group/cgroup.procs"
fi
exec .venv/bin/crunchbed "$@"
