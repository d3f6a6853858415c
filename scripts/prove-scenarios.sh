#!/bin/bash
# Shows that the claims of the shipped scenarios hold. Run as root on a quiet machine:
#
#   make prove WHAT=scenarios [ARGS="[SEEDS [SCENARIO ...]]"]
#
# Each scenario (default: all) is run on SEEDS seeds (default 5) under the policies that it has expectations of,
# and every expectation must hold on every seed. Exit code 1 if one does not. The environment variable
# PROVE_OPTIONS has more options for `crunchbed compare`, such as "--set cluster.switch=linux-bridge". All
# scenarios together take about 50 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=5
[[ ${1:-} =~ ^[0-9]+$ ]] && { seeds=$1; shift; }
names=("$@")
((${#names[@]})) || mapfile -t names < <(cd scenarios && printf '%s\n' *.yaml | sed 's/\.yaml$//')
read -ra options <<<"${PROVE_OPTIONS:-}"

work=$(mktemp -d /tmp/crunchbed-prove-scenarios.XXXXXX)
echo "prove-scenarios: everything is kept in $work"
failed=0
for name in "${names[@]}"; do
	code=0
	.venv/bin/python -m crunchbed compare "$name" --seeds "1..$seeds" "${options[@]}" --quiet --out "$work/$name" \
		>"$work/$name.txt" 2>"$work/$name.err" || code=$?
	((code)) && failed=1
	.venv/bin/python - "$work/$name/comparison.json" "$name" "$code" <<'EOF' || tail -n 1 "$work/$name.err"
import json
import sys
from collections import Counter
from pathlib import Path

path, name, code = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if not path.exists():
    print(f"{name}: exit code {code}")
    sys.exit(1)
one = json.loads(path.read_bytes())
valid = Counter(run["policy"] for run in one["runs"] if run["verdict"] in ("pass", "fail"))
runs = ", ".join(f"{policy} {valid[policy]} of {len(one['seeds'])} valid" for policy in one["policies"])
print(f"{name}: exit code {code}; {runs}")
for each in one["expectations"]:
    print(f"  {each['held']} of {len(one['seeds'])}  {each['text']}")
EOF
done
exit "$failed"
