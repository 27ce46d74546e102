# Targets that look at the whole; the Makefile includes this file.
#   ARGS="--least 80"   goes to scripts/coverage and scripts/build-times
.PHONY: coverage build-times test-all

coverage: build/coverage/build.ninja parity ## run the tests with clang's coverage of src/ and show it by module; at least 90 % of the lines
	@$(call compile,coverage)
	nice scripts/coverage $(ARGS)

build-times: ## show which modules and files took longest in the last build
	@scripts/build-times $(ARGS) build/$(PRESET)

# Together with `bash .ci/run`, every test at full size. Needs Docker, or tests/container/engine; see tests/container/run.
test-all: override ARGS :=
test-all: build parity ## what .ci/run leaves out, several hours: kill loops, other processor, fuzzers, lint, coverage, containers
	scripts/bootstrap sweep
	ctest --preset release -R 'scripts.sweep$$'
	$(MAKE) test-kill
	$(MAKE) kill-loop
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 build/release/tests/core_tests --gtest_filter='Parity.*'
	$(MAKE) fuzz ARGS=120
	$(MAKE) lint-all
	$(MAKE) coverage
	$(MAKE) test-container
