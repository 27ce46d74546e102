# Every target gets what it needs first, and a second run touches nothing that is up to date.
#   ARGS="--train.epochs 3"   is passed to the trainer (train, check), to ctest (test) or to the benchmark (bench)
#   CONFIG=configs/mine.toml  is the configuration to train; configs/fashion_mnist.toml if not given
#   PRESET=debug|asan|tsan    another build for build and test; release if not given
#   JOBS=4                    compile jobs; as many as cores and memory allow if not given
SHELL := bash
.DEFAULT_GOAL := help
PRESET ?= release
ARGS ?=
CONFIG ?= configs/fashion_mnist.toml
JOBS ?= $(shell scripts/jobs)
export PATH := $(CURDIR)/build/bin:$(PATH)

# ARGS may have several lines; a recipe's command has one.
define newline


endef
override ARGS := $(subst $(newline), ,$(ARGS))

compile = scripts/alone cmake --build --preset $(1) --parallel $(JOBS)

.PHONY: help train test test-kill check build format lint lint-all kill-loop bench bench-loader fuzz install-loader clean distclean bootstrap parity linters

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'ARGS="--train.epochs 3" is passed on, PRESET=debug, asan or tsan selects another build.'

# LibTorch's threads wait by spinning; for so short a time they take few cycles from loader workers and other programs.
train: export GOMP_SPINCOUNT ?= 20000
train: build/release/build.ninja ## train on Fashion-MNIST: gets the toolchain, builds, checks the machine, shows the result
	@$(call compile,release) --target trainyard
	build/release/trainyard train $(if $(findstring --config,$(ARGS)),,--config $(CONFIG)) $(ARGS)

test: build parity ## build and run every test
	ctest --preset $(PRESET) --parallel $(shell nproc) $(ARGS)

test-kill: build/release/build.ninja ## kill 200 runs, cut their power, fill their disk; all must end with the same weights
	@$(call compile,release) --target core_tests
	TRAINYARD_KILL_RUNS=200 build/release/tests/core_tests --gtest_filter='*KillLoop.*'

check: build/release/build.ninja ## show in full what this machine has and whether it is fit to train
	@$(call compile,release) --target trainyard
	build/release/trainyard check $(ARGS)

build: build/$(PRESET)/build.ninja ## get what is missing and compile everything
	@$(call compile,$(PRESET))

format: linters ## format the sources in place
	scripts/lint format

lint: linters ## check formatting, shell scripts, the modules without torch and changed files
	scripts/lint changed

lint-all: linters ## the same over every file: ten to thirty seconds of one core for each
	scripts/lint all

kill-loop: build/release/build.ninja ## thousands of random signals to workers against the serial order
	@$(call compile,release) --target base_tests
	TRAINYARD_KILLS=3000 build/release/tests/base_tests --gtest_filter=WorkerPool.KillLoop $(ARGS)

bench: build/release/build.ninja ## measure the loader
	@$(call compile,release) --target benchmarks
	build/release/benchmarks/loader_benchmark $(ARGS)

fuzz: build/fuzz/build.ninja ## feed every reader of outside data with made-up bytes (clang); ARGS="600 tar" for longer
	@$(call compile,fuzz)
	scripts/fuzz $(ARGS)

bench-loader: build/release/build.ninja ## measure the loader beside Python's DataLoader and others, an hour or two
	@scripts/bootstrap peers
	@$(call compile,release) --target benchmarks
	benchmarks/compare_loaders --python build/bin/peers-python $(ARGS)

install-loader: build/release/build.ninja ## install the loader for projects of your own to PREFIX (docs/loader-alone.md)
	@test -n "$(PREFIX)" || { echo "[make] give the folder to install to: make install-loader PREFIX=/opt/trainyard" >&2; exit 2; }
	@$(call compile,release) --target loader
	cmake --install build/release --prefix "$(PREFIX)" --component loader
	cmake --install build/release --prefix "$(PREFIX)" --component loader_torch

include container.mk

clean: ## remove what was compiled, keep what was installed
	rm -rf $(addprefix build/,release debug asan tsan fuzz lint lint-torch)

distclean: ## remove the whole build folder; LibTorch stays in the user's cache folder
	rm -rf build

bootstrap:
	@scripts/alone scripts/bootstrap

# Without it, as where there is no network, the tests that need it are reported as skipped.
parity: build/$(PRESET)/build.ninja
	-@scripts/bootstrap parity

linters:
	@scripts/bootstrap lint

# Bootstrap always runs, and leaves this file alone when nothing changed.
build/toolchain.cmake: bootstrap ;

# A configured tree cannot change to another LibTorch, CUDA compiler or folder. Whoever had to wait finds it configured.
# Editors find the compile commands of the last build with LibTorch in build/.
build/%/build.ninja: build/toolchain.cmake
	scripts/alone sh -c 'test $@ -nt $< || cmake --fresh --preset $*'
	@case $* in release | debug) ln -sfn $*/compile_commands.json build/compile_commands.json ;; esac
