# Everything a checkout can do. `make` prints the list; the steps of `make setup` are in scripts/setup.sh.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
# A root shell made by plain `su` has no sbin in its path.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

VENV := .venv/bin
SOURCES := $(wildcard reserve_agent/hooks/*.bpf.c)
PROOFS := $(patsubst scripts/prove-%.sh,%,$(wildcard scripts/prove-*.sh))
OBJECTS := $(SOURCES:reserve_agent/hooks/%.c=build/%.o)
BPF_CFLAGS := -O2 -g -Wall -Werror -target bpf -mcpu=v3 -Ibuild -Ireserve_agent/hooks

.PHONY: help
help: ## print this list
	@sed -nE 's/^([a-z]+):.* ## (.*)/\1|\2/p' Makefile | while IFS='|' read -r target what; do \
		printf '  make %-8s %s\n' "$$target" "$$what"; done

.PHONY: setup
setup: packages hooks python services ## install what this machine lacks (the other targets call it)

.PHONY: machines
machines: ## fetch QEMU and kernels, and build what virtual machines need (KERNELS=6.1: one of them)
	@KERNELS="$(KERNELS)" scripts/machines.sh

.PHONY: demo
demo: setup ## one crunch, without and with a memory reserve, compared
	$(VENV)/crunchbed compare writeback-crunch --policies none,memalloc

.PHONY: test
test: setup ## unit tests, then system tests, and those of virtual machines after `make machines`
	$(VENV)/python -m pytest -n auto --reruns 1 tests/unit
	$(VENV)/python -m pytest --reruns 1 tests/system tests/machines

.PHONY: slow
slow: setup ## the tests that `make test` leaves out because they take long
	$(VENV)/python -m pytest -m slow tests/unit tests/system tests/machines

.PHONY: check
check: setup ## formatting, lint and types
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy

.PHONY: agree
agree: setup ## hold backends against each other, every shipped scenario: make agree ARGS="--seeds 1..5"
	$(VENV)/crunchbed agree $(ARGS)

.PHONY: bench
bench: setup build/empty.bpf.o build/nfqueue ## what hooks, starts, scrapes, reports and simulations cost (20 minutes)
	$(VENV)/python -m bench

.PHONY: prove
prove: setup ## show a claim of the documents by experiment: make prove WHAT=regress ARGS="5 20"
	$(if $(wildcard scripts/prove-$(WHAT).sh),,$(error WHAT is one of: $(PROOFS)))
	scripts/prove-$(WHAT).sh $(ARGS)

.PHONY: clean
clean: ## remove build products (not .venv, not runs/)
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

# Steps of setup.

.PHONY: packages python services
packages python services:
	@scripts/setup.sh $@

.PHONY: hooks
hooks: packages $(OBJECTS)

build/%.bpf.o: reserve_agent/hooks/%.bpf.c $(wildcard reserve_agent/hooks/*.h) build/crunchbed.h build/vmlinux.h Makefile
	@echo "setup: hooks: compiling $<"
	@clang $(BPF_CFLAGS) -c $< -o $@

build/%.bpf.o: bench/%.bpf.c build/crunchbed.h build/vmlinux.h Makefile
	@echo "bench: compiling $<"
	@clang $(BPF_CFLAGS) -c $< -o $@

build/nfqueue: bench/nfqueue.c Makefile | packages
	@echo "bench: compiling $<"
	@clang -O2 -Wall -Wextra -Werror $< -o $@ -lnetfilter_queue

build/crunchbed.h: $(wildcard reserve_agent/hooks/*.py) reserve_agent/contract/packets.py $(wildcard reserve_agent/model/*.py reserve_agent/model/profiles/*.py) Makefile
	@mkdir -p build; /usr/bin/python3 -m reserve_agent.hooks.header > $@

build/vmlinux.h: build/kernel
	@scripts/setup.sh btf > $@

# Changes when the machine boots another kernel, and only then.
build/kernel: FORCE | packages
	@mkdir -p build; [ "$$(uname -rv)" = "$$(cat $@ 2>/dev/null)" ] || uname -rv > $@

.PHONY: FORCE
FORCE:
