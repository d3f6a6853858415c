#!/bin/bash
# Shows that a seed makes the same simulated history to the byte: runs each seed in two processes with different
# PYTHONHASHSEED, and in one of each further Python, and compares the digests of all events.
#
#   make prove WHAT=determinism [ARGS="[A..B [SCENARIO ...]]"]
#
#   A..B      seeds (default 1..1000); seed N runs scenario N of those named, or of all that are simulated
#
# The environment variable PROVE_PYTHONS names further interpreters, such as "python3.13": each gets a virtual
# environment with what a simulated run imports, as requirements.txt has it, from the index.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly IMPORTED='annotated-types|click|jinja2|markdown-it-py|markupsafe|mdurl|orjson|pydantic|pydantic-core|pygments|rich|ruamel-yaml|setuptools|typing-extensions|typing-inspection|wheel'
work=$(mktemp -d /tmp/crunchbed-prove-determinism.XXXXXX)
trap 'rm -rf "$work"' EXIT
(($#)) || set -- 1..1000

digests() { # OUT HASHSEED PYTHON SEEDS...
	PYTHONPATH=$PWD PYTHONHASHSEED=$2 "$3" -m tests.determinism "${@:4}" >"$work/$1" 2>"$work/$1.err" ||
		{ tail -n 1 "$work/$1.err" >&2; return 1; }
}

digests first 1 .venv/bin/python "$@" &
first=$!
digests second 2 .venv/bin/python "$@" &
second=$!
wait "$first"
wait "$second"
names=(second)
mkdir "$work/tree" # a build leaves files in its sources
git ls-files -z -- '*.py' pyproject.toml README.md LICENSE | xargs -0 cp --parents -t "$work/tree"
for python in ${PROVE_PYTHONS:-}; do
	name=${python##*/}
	"$python" -m venv "$work/venv-$name"
	# With its hashes; a newer Python needs other things of packages that are not imported here.
	awk -v wanted="^($IMPORTED)==" '/^[^ #]/ {take = $0 ~ wanted} take' requirements.txt >"$work/requirements.txt"
	"$work/venv-$name/bin/pip" -q install --no-deps --require-hashes -r "$work/requirements.txt"
	"$work/venv-$name/bin/pip" -q install --no-deps --no-build-isolation "$work/tree"
	digests "$name" 3 "$work/venv-$name/bin/python" "$@"
	names+=("$name")
done

status=0
for name in "${names[@]}"; do
	same=$(comm -12 <(sort "$work/first") <(sort "$work/$name") | wc -l)
	all=$(wc -l <"$work/first")
	echo "prove-determinism: $same of $all histories are the same in both processes:" \
		"$(cat "$work/first.err"); $(cat "$work/$name.err")"
	diff "$work/first" "$work/$name" | sed -n '2,6p' || true
	((same == all && all > 0)) || status=1
done
exit "$status"
