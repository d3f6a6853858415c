#!/bin/bash
# Shows how ejections depend on a crunch and on the number of nodes, in the simulation. Needs no root:
#
#   make prove WHAT=scale [ARGS=DIRECTORY]
#
# Sweeps of crowd-crunch and rolling-swim, and the pictures and tables of docs/results.md ("Many nodes"). The sweeps are in
# DIRECTORY (default: runs/scale) with *.png and *.csv; one that was ended goes on. It takes about 8 minutes of processor
# time. Exit code 1 if a healthy node was ejected, or a run is invalid.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/scale}
mkdir -p "$out"
crunchbed=(.venv/bin/python -m crunchbed)

# Light, as in thousand-swim: a node writes 128 KiB in 32 s.
light=(--backend simulation --set cluster.storage_rate=1Gbit --set block_io.dirty_rate=1
	--set block_io.request=128KiB --set block_io.export=2GiB --set crunch.target=random)
alone=(crowd-crunch "${light[@]}" --set crunch.share=null)
both=(--vary detector.kind=swim,lifeguard)

# sweep NAME SCENARIO OPTION...
sweep() {
	local name=$1
	shift
	if [[ -e $out/$name/sweep.json ]]; then
		"${crunchbed[@]}" sweep --resume "$out/$name" --json >/dev/null
	else
		"${crunchbed[@]}" sweep "$@" --out "$out/$name" --json >/dev/null
	fi
}

# One node is crunched.
sweep one "${alone[@]}" "${both[@]}" --vary policy=none --vary cluster.nodes=3,10,30,100 \
	--vary crunch.length=1s,2s,3s,4s,6s
sweep one-300 "${alone[@]}" "${both[@]}" --vary policy=none --vary cluster.nodes=300 --vary crunch.length=4s,6s
sweep one-1000 "${alone[@]}" "${both[@]}" --vary policy=none --vary cluster.nodes=1000 --vary crunch.length=6s
sweep one-flagged "${alone[@]}" "${both[@]}" --vary policy=memalloc --vary cluster.nodes=3,10,30,100,300 \
	--vary crunch.length=6s
sweep levels "${alone[@]}" --set cluster.nodes=10 --vary detector.kind=fixed,phi,swim,lifeguard \
	--vary policy=none,memalloc --vary memory.reserve=64,256 --vary crunch.depth=0.5,0.75,1
sweep cards "${alone[@]}" "${both[@]}" --set policy=none --vary memory.nic=e1000,vmxnet3 --vary cluster.nodes=3,30

# Many at once.
crowd=(crowd-crunch "${light[@]}")
sweep crowd "${crowd[@]}" "${both[@]}" --vary policy=none --vary cluster.nodes=10,30,100 --vary crunch.share=0.1,0.3,0.4,0.6
sweep crowd-300 "${crowd[@]}" --vary detector.kind=swim --vary policy=none --vary cluster.nodes=300 \
	--vary crunch.share=0.3 --set phases.recovery=60s
sweep crowd-flagged "${crowd[@]}" "${both[@]}" --vary policy=memalloc --vary cluster.nodes=10,100 \
	--vary crunch.share=0.6
sweep crowd-all "${crowd[@]}" --vary detector.kind=fixed,phi --vary policy=none --vary cluster.nodes=10,30 \
	--vary crunch.share=0.3,0.6

# Ten, one after the other.
roll() {
	sweep "roll-$1" rolling-swim "${light[@]}" "${both[@]}" --set policy=none --set phases.inject=36s \
		--vary "cluster.nodes=$1" --vary "crunch.share=$2" --vary crunch.apart=500ms,3s
}
roll 10 1
roll 30 0.333
roll 100 0.1

plot() { "${crunchbed[@]}" plot "${@:2}" --out "$out/$1.png" --csv "$out/$1.csv" --columns "$columns" 2>&1 | sed "s/^/$1: /"; }
columns=nodes_ejected,healthy_ejections,heartbeats_missed,quorum_lost_seconds,time_to_recover_seconds
plot many-nodes-one "$out"/one{,-300,-1000} --x crunch.length --y cluster.nodes --panel detector.kind
plot many-nodes-flagged "$out/one-flagged" "$out/crowd-flagged" --x policy --y cluster.nodes --panel detector.kind
plot many-nodes-levels "$out/levels" --x memory.reserve --y crunch.depth --panel detector.kind --row policy
plot many-nodes-cards "$out/cards" --x memory.nic --y cluster.nodes --panel detector.kind
plot many-nodes-crowd "$out"/crowd{,-300,-all} --x crunch.share --y cluster.nodes --panel detector.kind
plot many-nodes-rolling "$out"/roll-{10,30,100} --x crunch.apart --y cluster.nodes --panel detector.kind

.venv/bin/python - "$out"/many-nodes-*.csv <<'PYTHON'
import csv
import sys

failed = False
for path in sys.argv[1:]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    invalid = sum(row["verdict"] not in ("pass", "fail") for row in rows)
    healthy = sum(int(row["healthy_ejections"]) for row in rows)
    ejected = sum(int(row["nodes_ejected"]) for row in rows)
    print(f"{path}: {len(rows)} runs, {invalid} not valid; {ejected} nodes ejected, {healthy} of them healthy")
    failed = failed or invalid > 0 or healthy > 0
sys.exit(failed)
PYTHON
