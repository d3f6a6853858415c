#!/bin/bash
# Shows that `crunchbed judge` needs no root, no Mininet and no other package of the system: judges a bundle
# in a fresh virtual environment without the system's Python packages, as user nobody, without a network, and
# compares the result with that of this checkout.
#
#   make prove WHAT=judge ARGS=BUNDLE      (root; takes the Python packages from the index)
set -euo pipefail
bundle=$(realpath "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d /tmp/crunchbed-prove-judge.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$bundle" "$work/bundle"
chmod 644 "$work/bundle"

# Debian's Python: another one may be in a directory that the user nobody cannot read.
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --require-hashes -r requirements.txt
git ls-files -z -- '*.py' pyproject.toml README.md LICENSE | xargs -0 cp --parents -t "$work"
"$work/venv/bin/pip" -q install --no-deps --no-build-isolation "$work"
"$work/venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(bool(u.find_spec("mininet") or u.find_spec("nbd")))'

there=0 here=0
(cd "$work/venv" && unshare --net setpriv --reuid=nobody --regid=nogroup --clear-groups \
	--inh-caps=-all --bounding-set=-all --no-new-privs \
	env -i PATH=/usr/bin HOME=/nonexistent "$work/venv/bin/python" -m crunchbed judge "$work/bundle" --json \
	>"$work/there.json") || there=$?
.venv/bin/python -m crunchbed judge "$work/bundle" --json >"$work/here.json" || here=$?
same=different
[[ -s $work/here.json ]] && cmp -s "$work/there.json" "$work/here.json" && same="the same"
echo "prove-judge: exit code $there there, $here here; the results are $same"
[[ $there == "$here" && $same == "the same" ]]
