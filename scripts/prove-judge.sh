#!/bin/bash
# Proves that a bundle is judged without root, Mininet or any other package of the system: in a fresh
# virtual environment that sees nothing of the system's Python packages, as nobody, without a network.
#
# usage: scripts/prove-judge.sh BUNDLE      (root; takes the Python packages from the index)
set -euo pipefail
bundle=$(realpath "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d /tmp/crunchbed-prove-judge.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$bundle" "$work/bundle"
chmod 644 "$work/bundle"

# Debian's: others may lie where nobody may not look.
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --require-hashes -r requirements.txt
git ls-files -z -- '*.py' pyproject.toml README.md LICENSE | xargs -0 cp --parents -t "$work"
"$work/venv/bin/pip" -q install --no-deps --no-build-isolation "$work"
"$work/venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(bool(u.find_spec("mininet") or u.find_spec("nbd")))'

there=0 here=0
(cd "$work/venv" && unshare --net setpriv --reuid=nobody --regid=nogroup --clear-groups \
	--inh-caps=-all --bounding-set=-all --no-new-privs \
	env -i PATH=/usr/bin HOME=/nonexistent "$work/venv/bin/crunchbed" judge "$work/bundle" --json \
	>"$work/there.json") || there=$?
.venv/bin/python -m crunchbed judge "$work/bundle" --json >"$work/here.json" || here=$?
same=different
[[ -s $work/here.json ]] && cmp -s "$work/there.json" "$work/here.json" && same="the same"
echo "prove-judge: exit code $there there, $here here; the results are $same"
[[ $there == "$here" && $same == "the same" ]]
