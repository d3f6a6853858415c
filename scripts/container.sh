#!/bin/bash
# What the container of docker-compose.yml runs: setup for this kernel, then crunchbed.
#
# usage: scripts/container.sh ARGUMENT...     (as the shell would give them to `crunchbed`)
set -euo pipefail
cd "$(dirname "$0")/.."

# The lock of scripts/setup.sh; a slim image has no /run/lock.
mkdir -p /run/lock
make --silent hooks services
exec .venv/bin/crunchbed "$@"
