# Every target first installs what it needs; a second run changes nothing that is up to date.
#   ARGS="--train.epochs 3"   passed to what the target runs: the trainer (train, check), ctest (test) and so on
#   CONFIG=configs/mine.toml  the configuration to train; by default configs/fashion_mnist.toml, unless ARGS has --config
#   PRESET=debug|asan|tsan    the build preset for build and test; by default release
#   JOBS=4                    compile jobs; by default as many as cores and memory allow
SHELL := bash
.DEFAULT_GOAL := help
PRESET ?= release
ARGS ?=
default_config := configs/fashion_mnist.toml
JOBS ?= $(shell scripts/jobs)
export PATH := $(CURDIR)/build/bin:$(PATH)

# ARGS may have several lines, but a recipe's command has only one.
define newline


endef
override ARGS := $(subst $(newline), ,$(ARGS))

# Shells export such names too; WSL sets NAME.
$(foreach name,NAME FILE DEST UPSTREAM PREFIX,$(if $(filter environment%,$(origin $(name))),$(eval override $(name) :=)))

compile = scripts/alone cmake --build --preset $(1) --parallel $(JOBS)

.PHONY: help train train-command test test-kill check build format lint lint-all hooks kill-loop bench bench-loader fuzz install-loader package clean distclean bootstrap parity linters

train_command = build/release/trainyard train \
  $(addprefix --config ,$(or $(CONFIG),$(if $(findstring --config,$(ARGS)),,$(default_config)))) $(ARGS)

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'ARGS="--train.epochs 3" passes arguments on; PRESET=debug, asan or tsan selects another build.'

# LibTorch's threads wait by spinning. Limit it, so that they take few cycles from loader workers and other programs.
train: export GOMP_SPINCOUNT ?= 20000
train: build/release/build.ninja ## train on Fashion-MNIST: install the toolchain, build, check the machine, train, show the result
	@$(call compile,release) --target trainyard
	$(train_command)

train-command:  # for docker-compose.yml, which runs it without make in between
	@: $(info $(train_command))

test: build parity ## build and run every test
	ctest --preset $(PRESET) --parallel $(shell expr $$(nproc) + 1) $(ARGS)

test-kill: build/release/build.ninja ## kill 200 runs, cut their power, fill their disks: all must end with the same weights
	@$(call compile,release) --target core_tests
	TRAINYARD_KILL_RUNS=200 build/release/tests/core_tests --gtest_filter='*KillLoop.*'

check: build/release/build.ninja ## show what this machine has, and whether it is fit to train
	@$(call compile,release) --target trainyard
	build/release/trainyard check $(ARGS)

build: build/$(PRESET)/build.ninja ## install what is missing and compile everything
	@$(call compile,$(PRESET))

format: linters ## format the sources in place
	scripts/lint format

lint: linters ## check formatting, shell scripts and workflows, and run clang-tidy on changed files
	scripts/lint changed

lint-all: linters ## lint every file, which takes one core ten to thirty seconds per file
	scripts/lint all

hooks: linters ## check the format of what is staged before each commit
	git config core.hooksPath .githooks

kill-loop: build/release/build.ninja ## send thousands of random signals to loader workers and compare with the serial order
	@$(call compile,release) --target base_tests
	TRAINYARD_KILLS=3000 build/release/tests/base_tests --gtest_filter=WorkerPool.KillLoop $(ARGS)

# template-only: begin
bench: build/release/build.ninja ## measure the loader
	@$(call compile,release) --target benchmarks
	build/release/benchmarks/loader_benchmark $(ARGS)

bench-loader: build/release/build.ninja ## compare the loader with Python's DataLoader and others; takes an hour or two
	@scripts/bootstrap peers
	@$(call compile,release) --target benchmarks
	benchmarks/compare_loaders --python build/bin/peers-python $(ARGS)

# template-only: end
fuzz: build/fuzz/build.ninja ## fuzz every reader of outside data (clang); ARGS=tar fuzzes one, ARGS="600 tar" for 600 seconds
	@$(call compile,fuzz)
	scripts/fuzz $(ARGS)

.PHONY: weights data named_weights given_prefix
named_weights:
	@test -n "$(NAME)$(FILE)" || { echo "[make] say which: make weights NAME=resnet50, or FILE=mine.pth" >&2; exit 2; }

weights: named_weights bootstrap ## fetch published weights for --model.weights: NAME=resnet50, vit_small or gpt2; or convert FILE=mine.pth
	@scripts/bootstrap weights
	@build/bin/weights-python scripts/weights "$(NAME)" $(if $(FILE),"$(FILE)")

data: ## fetch a published dataset into data/: NAME=cifar10, tiny_imagenet, oxford_iiit_pets or tiny_shakespeare
	@scripts/data "$(NAME)"

given_prefix:
	@test -n "$(PREFIX)" || { echo "[make] give the folder to install to: make install-loader PREFIX=/opt/trainyard" >&2; exit 2; }

install-loader: given_prefix build/release/build.ninja ## install the loader for your own projects to PREFIX (docs/loader-alone.md)
	@$(call compile,release) --target loader
	cmake --install build/release --prefix "$(PREFIX)" --component loader
	cmake --install build/release --prefix "$(PREFIX)" --component loader_torch

package: build/release/build.ninja ## make Debian packages of the program and of the loader (docs/installing.md)
	@$(call compile,release) --target trainyard loader
	cmake --build build/release --target package

include container.mk project.mk quality.mk

clean: ## remove what was compiled, keep what was installed
	rm -rf $(addprefix build/,release debug asan tsan fuzz coverage lint lint-torch)

distclean: ## remove the whole build folder; LibTorch stays in the user's cache folder
	rm -rf build

bootstrap:
	@scripts/alone scripts/bootstrap

# If this fails, e.g. without a network, the tests that need it are reported as skipped.
parity: build/$(PRESET)/build.ninja
	-@scripts/bootstrap parity
	-@scripts/bootstrap weights

linters:
	@scripts/bootstrap lint

# Bootstrap always runs, but does not touch this file if nothing has changed.
build/toolchain.cmake: bootstrap ;

# A configured tree cannot change to another LibTorch, CUDA compiler or folder, so this configures it afresh, unless another make
# did so while this one waited. Editors find the compile commands of the last build with LibTorch in build/.
build/%/build.ninja: build/toolchain.cmake
	scripts/alone sh -c 'test $@ -nt $< || cmake --fresh --preset $*'
	@case $* in release | debug) ln -sfn $*/compile_commands.json build/compile_commands.json ;; esac
