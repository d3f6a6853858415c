#!/bin/bash
# Shows how far the model says what kernels do. Run as root on a quiet machine, after `make machines`:
#
#   make prove WHAT=fidelity [ARGS="[DIRECTORY [OPTIONS]]"]
#
# Eight scenarios, four flag settings, two cards and two seeds on machines, beside the simulation by linux-6.1 and by
# proposal-2005, the model that there was before. The runs are in DIRECTORY (default: runs/fidelity), and the matrix in
# its matrix.md. 128 runs of machines take about an hour; what is there already is not run again. OPTIONS are those of
# `crunchbed agree`, such as "--again simulation" after a change of the model, or "--recorded machines" to run none.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/fidelity}
shift || true
scenarios=(
	kernel-writeback deaf-not-mute long-crunch kernel-levels late-drops short-crunches deaf-is-ejected heads-exhausted
)
mkdir -p "$out"
exec .venv/bin/python -m crunchbed agree "${scenarios[@]}" --backends machines,simulation --models own,proposal-2005 \
	--policies memalloc --memalloc none,block-io,heartbeat,both --nics e1000,vmxnet3 --seeds 1..2 \
	--out "$out" --markdown "$out/matrix.md" --quiet "$@"
