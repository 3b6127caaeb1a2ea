# The front door. `make help` is the manual.
# SPDX-License-Identifier: Apache-2.0
PY := /usr/bin/python3
JUNIT_DIR ?= $(CURDIR)/build/junit
FUZZ_SECONDS ?= 10
TESTS ?=
GEMMA ?= 1
PREFIX ?= /usr/local
DESTDIR ?=
MESON_TEST = meson test --print-errorlogs -q
NICE ?= nice -n 5

export JUNIT_DIR FUZZ_SECONDS PREFIX DESTDIR
export ATLAS ?= $(CURDIR)/build/atlas

# What a target needs beside the build's own: one visit to apt, before anything is compiled.
run: ALSO = run
e2e wire: ALSO = test
clients: ALSO = test run
bench: ALSO = bench

.DEFAULT_GOAL := build
.PHONY: build run test check unit e2e wire clients fuzz fault bench asan tsan valgrind coverage lint fmt \
	docs release install debug install-hook clean help

##: building
build: ## build/atlas, optimised, with symbols
	@tools/setup.sh build $(ALSO)
	@tools/build.sh build -Db_lto=true -Dtests=disabled

debug: ## build-debug/atlas: no optimisation, slow checks on
	@tools/setup.sh build
	@tools/build.sh build-debug -Dbuildtype=debug -Dslow_checks=true -Dtests=disabled

release: build ## build-release/atlas-VERSION.tar.gz: program (trained: compiled for what it does), licence, pages
	@tools/setup.sh build bench
	@tools/release.sh

install: build ## program, man pages, completions, service (PREFIX=/usr/local, DESTDIR=)
	@tools/install.sh

##: running
run: build ## real models, Atlas in front of them, and curls to paste (GEMMA=0, PORT=, ADMIN_PORT=)
	@exec $(PY) tools/run/run.py

##: testing (TESTS='words' chooses: `make unit TESTS=span`, `make e2e TESTS=stream`)
test: ## all suites, short fuzz and fault, unit and e2e again under ASan+UBSan
	@tools/suites.sh unit e2e wire clients fuzz fault asan

check: ## what CI does: lint, then test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

unit: ## unit tests, with slow checks (build-unit)
	@tools/setup.sh build test
	@tools/build.sh build-unit -Dslow_checks=true
	@tools/unit.sh build-unit unit $(TESTS)

e2e: build ## pytest against build/atlas
	@tools/pytest.sh e2e $(TESTS)

wire: build ## varnishtest scripts: torn chunks, slow heads, half-closes
	@tests/wire/run.sh $(TESTS)

clients: build ## the official SDKs, against real models and the simulator
	@tests/clients/run.sh $(TESTS)

fuzz: ## libFuzzer, FUZZ_SECONDS each (10)
	@tools/setup.sh build test
	@tests/fuzz/run.sh $(TESTS)

fault: ## the n-th malloc, read, write, connect, SQL step fails
	@tools/setup.sh build test
	@tests/fault/run.sh $(TESTS)

asan: ## unit and e2e under ASan+UBSan
	@tools/setup.sh build test
	@tools/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
	@tools/unit.sh build-asan unit-asan $(TESTS)
	@JOBS=2 ATLAS=$(CURDIR)/build-asan/atlas tools/pytest.sh e2e-asan $(TESTS)

tsan: ## unit and e2e under TSan
	@tools/setup.sh build test
	@tools/build.sh build-tsan -Db_sanitize=thread -Db_lundef=false -Doptimization=1
	@tools/unit.sh build-tsan unit-tsan $(TESTS)
	@ATLAS=$(CURDIR)/build-tsan/atlas tools/pytest.sh e2e-tsan $(TESTS)

valgrind: ## unit tests under valgrind
	@tools/setup.sh build test valgrind
	@tools/build.sh build-unit -Dslow_checks=true
	@WRAP="valgrind -q --error-exitcode=99 --leak-check=full" tools/unit.sh build-unit unit-valgrind $(TESTS)

coverage: ## build-coverage/coverage.txt: lines that unit and e2e reach
	@tools/setup.sh build test coverage
	@tools/build.sh build-coverage -Db_coverage=true -Doptimization=0
	@tools/unit.sh build-coverage unit-coverage
	@ATLAS=$(CURDIR)/build-coverage/atlas tools/pytest.sh e2e-coverage
	@gcovr -r . -e tests build-coverage --txt build-coverage/coverage.txt --print-summary

bench: build ## direct, nginx, haproxy, Atlas in one run: a table and a plot
	@tests/bench/run.sh

##: before a commit
lint: ## format, linters, our own checkers
	@tools/setup.sh build lint
	@tools/lint.sh

fmt: ## format the C sources
	@tools/setup.sh lint
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 -i

docs: build ## write docs/reference/ anew
	@$(PY) tools/reference.py build/atlas

install-hook: ## git hook: format and lint what is committed
	@ln -sf ../../tools/pre-commit "$$(git rev-parse --git-dir)/hooks/pre-commit"

clean: ## remove every build folder
	@rm -rf build build-*

help: ## this page
	@awk -F':.*## ' '/^##:/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
