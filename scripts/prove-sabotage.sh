#!/bin/bash
# Shows that a damaged history gets no verdict: damages recorded runs in hundreds of ways, and judges each.
#
#   make prove WHAT=sabotage [ARGS="RUN..."]
#
#   RUN  a run directory of format 1, which is converted; default: the recorded run of the unit tests
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m tests.sabotage "$@"
