#!/bin/bash
# Shows that `crunchbed regress` tells a regression from noise. Run as root on a quiet machine:
#
#   make prove WHAT=regress [ARGS="[TRIES [QUIET]] [-- OPTIONS OF baseline save]"]
#
# The script makes a baseline of writeback-crunch under `memalloc`. It compares the same code with the baseline
# QUIET times (default 20), in which no regression may be reported. Then it compares weakened code TRIES times
# (default 5), in which a regression must be reported each time. The weakened policy lacks one rule: that a packet
# from the reserve for a socket that is not memalloc is dropped and its pages are freed. A try takes about
# 2 minutes. Exit code 1 if a comparison came out wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
tries=5 quiet=20
[[ ${1:-} =~ ^[0-9]+$ ]] && { tries=$1; shift; }
[[ ${1:-} =~ ^[0-9]+$ ]] && { quiet=$1; shift; }
[[ ${1:-} == -- ]] && shift

top=$PWD
python=$top/.venv/bin/python
work=$(mktemp -d /tmp/crunchbed-prove-regress.XXXXXX)
weak=$work/weak
echo "prove-regress: everything is kept in $work"

weaken() {
	mkdir "$weak"
	git ls-files -z | xargs -0 cp --parents -t "$weak"
	cp -a build "$weak"
	ln -s "$top/.venv" "$weak/.venv"
	sed -i '/^INLINE __u8 judge_socket/,/^}/{/case POLICY_MEMALLOC:/d}' \
		"$weak/reserve_agent/hooks/policy.bpf.h"
	if cmp -s "$weak/reserve_agent/hooks/policy.bpf.h" reserve_agent/hooks/policy.bpf.h; then
		echo "prove-regress: the rule is not where it was" >&2
		exit 1
	fi
	make -s -C "$weak" hooks
}

# regress CHECKOUT NAME: compares the code of a checkout with the baseline, and prints the exit code.
regress() {
	local code=0
	(cd "$1" && "$python" -m crunchbed regress proof --baselines "$work/baselines" \
		--out "$work/$2" >"$work/$2.txt" 2>"$work/$2.err") || code=$?
	echo "$code"
}

"$python" -m crunchbed baseline save proof writeback-crunch --policies memalloc --repeats 5 \
	--baselines "$work/baselines" --out "$work/baseline" "$@" 2>"$work/baseline.err"
weaken

told=0 unknown=0 caught=0
for ((i = 1; i <= quiet; i++)); do
	code=$(regress "$top" "same-$i")
	((code == 1)) && ((told += 1))
	((code > 1)) && ((unknown += 1))
	echo "no change, $i of $quiet: exit code $code"
done
for ((i = 1; i <= tries; i++)); do
	code=$(regress "$weak" "weak-$i")
	((code == 1)) && ((caught += 1))
	echo "weakened, $i of $tries: exit code $code"
done
echo "no change: told $told of $quiet ($unknown not known); weakened: told $caught of $tries"
((told == 0 && caught == tries))
