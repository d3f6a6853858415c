#!/bin/bash
# Shows that a sweep survives kill -9, and that its verdicts do not depend on the number of runs side by side.
# Run as root on a quiet machine:
#
#   make prove WHAT=sweep [ARGS="[SEEDS] [-- OPTIONS OF sweep]"]
#
# The script sweeps writeback-crunch over two policies and three sizes of the crunch on SEEDS seeds (default 10,
# which makes 60 runs) with three workers. It kills the sweep when a third of the runs is finished, resumes it,
# and does the same sweep on one worker. Exit code 1 if a run is missing, was made twice, or has another outcome
# on one worker. 60 runs take about 10 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=10
[[ ${1:-} =~ ^[0-9]+$ ]] && { seeds=$1; shift; }
[[ ${1:-} == -- ]] && shift
total=$((6 * seeds)) third=$((2 * seeds))

work=$(mktemp -d /tmp/crunchbed-prove-sweep.XXXXXX)
echo "prove-sweep: everything is kept in $work"

asked=(writeback-crunch --vary policy=none,memalloc --vary crunch.pages=8500,9000,9500 --seeds "1..$seeds"
	--set cluster.switch=linux-bridge --set phases.control=1s --set phases.inject=2s
	--set phases.recovery=5s --set fencing.reboot_delay=1s "$@")
command=(.venv/bin/python -m crunchbed sweep)
# Name and inode of each finished result: a result that is written again has another inode.
finished() { find "$work/$1/runs" -mindepth 2 -maxdepth 2 -name result.json -printf '%P %i\n' 2>/dev/null | sort; }

"${command[@]}" "${asked[@]}" --workers 3 --out "$work/three" >"$work/killed.txt" 2>"$work/killed.err" &
pid=$!
until (($(finished three | wc -l) >= third)); do
	kill -0 "$pid" || { echo "prove-sweep: it ended by itself; see $work/killed.err" >&2; exit 1; }
	sleep 0.2
done
kill -KILL "$pid"
wait "$pid" || true
finished three >"$work/before"
echo "killed with $(wc -l <"$work/before") of $total runs finished"
# The workers notice that the sweep has ended, and undo the runs that they had begun.
sleep 10

timed() {
	local began=$SECONDS
	"${command[@]}" "$@" >"$work/$name.txt" 2>"$work/$name.err" || { tail -n 3 "$work/$name.err" >&2; exit 1; }
	took=$((SECONDS - began))
}
name=resumed && timed --resume "$work/three" --workers 3
rest=$((total - $(wc -l <"$work/before"))) resumed=$took
echo "resumed: the other $rest runs in $resumed s on three workers"
name=one && timed "${asked[@]}" --workers 1 --out "$work/one"
echo "the same sweep: $total runs in $took s on one worker"

finished three >"$work/after"
twice=$(comm -23 "$work/before" "$work/after" | wc -l)
.venv/bin/python - "$work" "$total" "$twice" "$rest" "$resumed" "$took" <<'EOF'
import json
import sys
from pathlib import Path

work, (total, twice, rest, resumed, alone) = Path(sys.argv[1]), map(int, sys.argv[2:])


def outcomes(name):
    results = {path.parent.name: json.loads(path.read_bytes()) for path in (work / name).glob("runs/*/result.json")}
    return {run: (one["verdict"], one["totals"]["nodes_ejected"]) for run, one in results.items()}


three, one = outcomes("three"), outcomes("one")
differ = sorted(run for run in one if one[run] != three.get(run))
print(f"{len(three)} results of {total}, {twice} made twice")
print(f"other than on one worker: {len(differ)} of {len(one)}{': ' + ', '.join(differ) if differ else ''}")
print(f"three workers are {(alone / total) / (resumed / rest):.2f} times as fast as one")
sys.exit(not (len(three) == len(one) == total and not twice and not differ))
EOF
