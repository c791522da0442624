# trustkit: every chore in one word. `make` alone lists them.
#
# Needs Python 3.11 or newer with venv, and the network to PyPI for the first run; nothing else.
# What it makes lies in dot-folders that git ignores; `make clean` takes them away again.
# Each environment has a stamp file inside itself, touched last: an interrupted run starts over, a second run is quick.

PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done) python3)
# One more than there are processors: tests wait for sockets and other processes.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# `make test` fails below the thresholds in .ci/coverage_gate.py; COVERAGE=report only prints them.
COVERAGE ?= enforce
# For example PYTEST_ARGS='-k sealing -x', MUTATE_ARGS='--sample 400 --seed 1', LOCK_ARGS='--upgrade', EXCLUDE_NEWER=2026-11-17.
PYTEST_ARGS ?=
MUTATE_ARGS ?=
LOCK_ARGS ?=
EXCLUDE_NEWER ?=
DEMO_ARGS ?=

VENV := .venv
REFERENCE := .venv-reference
LOCKER := .venv-lock
PIP_INSTALL := -m pip --disable-pip-version-check --quiet install
# The OPA that .ci/run builds, where it did, goes before any other.
export PATH := $(CURDIR)/.cache/bin:$(PATH)

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# $(call create,FOLDER): a virtual environment, or one line that says what is missing.
define create
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "trustkit needs Python 3.11 or newer, and there is no '$(PYTHON)' here; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "trustkit needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); name a newer one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' lacks the venv module; install it (Debian and Ubuntu: apt install python3-venv), or name another Python: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "create  $(1) with $$($(PYTHON) -V 2>&1)"
	@$(PYTHON) -m venv $(1)
endef

##@ Everyday

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

.PHONY: demo
demo: $(VENV)/.project ## The whole story in one command: sign, verify, seal, decide, fetch
	@echo "run     trustkit demo"
	@$(VENV)/bin/trustkit demo --folder demo --overwrite $(DEMO_ARGS)

.PHONY: test
# Compiled once: where Python may write no bytecode, each of the many processes that tests start would do it again.
test: $(VENV)/.test $(REFERENCE)/.made ## The whole suite that needs no Go, with coverage
	@$(VENV)/bin/python -m compileall -q trustkit admission
	@echo "run     pytest"
	@$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not opa and not cluster' --cov --cov-report= $(PYTEST_ARGS)
	@$(VENV)/bin/python .ci/coverage_gate.py $(COVERAGE)

.PHONY: check
check: check-format check-lint check-types check-imports check-docs check-spelling check-readme check-rules ## Every gate that is not a test; `make -k check` goes on after the first failure

.PHONY: rules
rules: $(VENV)/.test ## The Rego rules: compiled bundle up to date, gates, and the tests that need opa
	@command -v opa >/dev/null || { echo "rules: there is no opa here; .ci/run builds it where Go is" >&2; exit 2; }
	@echo "check   the compiled rules are what the sources say"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" policies/compile --check
	@$(MAKE) --no-print-directory check-rules
	@echo "run     pytest -m opa"
	@$(VENV)/bin/python -m pytest -m opa $(PYTEST_ARGS)

.PHONY: cluster
cluster: $(VENV)/.test ## Webhook and chart against a real API server, which .ci/run builds where Go is
	@[ -x .cache/bin/kube-apiserver ] && [ -x .cache/bin/helm ] || { echo "cluster: there is no API server here; .ci/run builds it where Go is" >&2; exit 2; }
	@echo "run     pytest -m cluster"
	@$(VENV)/bin/python -m pytest -m cluster tests/cluster $(PYTEST_ARGS)

.PHONY: mutate
mutate: $(VENV)/.test ## A thousand small faults put into attest and verifying, one by one: 90 % must fail a test
	@echo "run     mutants"
	@$(VENV)/bin/python tests/mutation/mutate.py --jobs $(WORKERS) $(MUTATE_ARGS)

.PHONY: bench
bench: $(VENV)/.test ## Benchmarks, each beside the limit it is measured against
	@set -e; for file in tests/bench/bench_*.py; do [ -e "$$file" ] || { echo "bench: nothing under tests/bench" >&2; exit 2; }; \
	  echo "run     $$file"; $(VENV)/bin/python "$$file"; done

##@ Gates, one by one

.PHONY: check-format
check-format: $(VENV)/.check ## ruff format
	@echo "check   format"
	@$(VENV)/bin/ruff format --quiet --diff .

.PHONY: check-lint
check-lint: $(VENV)/.check ## ruff, every rule, exceptions with reasons in pyproject.toml
	@echo "check   lint"
	@$(VENV)/bin/ruff check --quiet .

.PHONY: check-types
check-types: $(VENV)/.check ## mypy --strict
	@echo "check   types"
	@$(VENV)/bin/mypy

.PHONY: check-imports
check-imports: $(VENV)/.check ## Who may import whom
	@echo "check   imports"
	@$(VENV)/bin/lint-imports --no-logo

.PHONY: check-docs
check-docs: $(VENV)/.check ## A docstring on every public name
	@echo "check   docstrings"
	@$(VENV)/bin/interrogate --quiet trustkit admission || { $(VENV)/bin/interrogate -vv trustkit admission | grep MISSED; exit 1; }

.PHONY: check-spelling
check-spelling: $(VENV)/.check ## codespell
	@echo "check   spelling"
	@$(VENV)/bin/codespell

.PHONY: check-readme
check-readme: $(VENV)/.check ## Help text in README equals --help
	@echo "check   README"
	@$(VENV)/bin/python -m pytest -q -k help tests/contract/test_contract_readme.py

.PHONY: check-rules
check-rules: ## opa fmt, check --strict and test --coverage, where opa is present
	@if command -v opa >/dev/null; then echo "check   rules" && .ci/rules; else echo "check   rules: left out, there is no opa here (.ci/run builds it where Go is)"; fi

##@ Housekeeping

.PHONY: lock
lock: $(LOCKER)/.made ## Compile .requirements/*.txt anew, nothing younger than a week
	@set -e; newest=$(or $(EXCLUDE_NEWER),$$($(LOCKER)/bin/python -c 'import datetime as d; print(d.datetime.now(d.timezone.utc).date() - d.timedelta(days=7))')); \
	compile() { echo "compile $$1"; out=$$1; shift; $(LOCKER)/bin/uv pip compile --quiet --no-config --universal --generate-hashes --python-version 3.11 \
	  --no-strip-extras --no-annotate --no-emit-find-links --no-emit-index-url --custom-compile-command 'make lock' \
	  --exclude-newer "$$newest" $(LOCK_ARGS) -o ".requirements/$$out" "$$@"; }; \
	echo "lock    nothing newer than $$newest"; \
	compile run.txt pyproject.toml --extra demo --group build; \
	compile test.txt pyproject.toml --extra aws --extra dask --extra gs --group test -c .requirements/run.txt; \
	compile build.txt --group build -c .requirements/run.txt; \
	compile core.txt pyproject.toml -c .requirements/run.txt; \
	compile serve.txt pyproject.toml --extra admission --extra broker -c .requirements/run.txt; \
	compile check.txt --group check -c .requirements/run.txt -c .requirements/test.txt; \
	compile reference.txt --group reference; \
	echo uv | compile lock.txt -

.PHONY: clean
clean: ## Remove everything that make, the tests and the demo have made
	@echo "remove  environments, caches and demo folders"
	@if [ -d demo ]; then chmod -R u+w demo; fi # published models are read-only
	@rm -rf $(VENV) $(REFERENCE) $(LOCKER) .cache .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .import_linter_cache dist demo .demo
	@find trustkit admission policies tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments. Each waits for the one before (pip must not run twice in one folder), and is renewed
# only when its own lock changes.

$(VENV)/.made:
	$(call create,$(VENV))
	@touch $@

$(VENV)/.run: .requirements/run.txt | $(VENV)/.made
	@echo "install $<"
	@$(VENV)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/.project: pyproject.toml trustkit/version.py $(wildcard policies/compiled/*) | $(VENV)/.run
	@echo "install trustkit"
	@$(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: .requirements/test.txt | $(VENV)/.project
	@echo "install $<"
	@$(VENV)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/.check: .requirements/check.txt | $(VENV)/.test
	@echo "install $<"
	@$(VENV)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(REFERENCE)/.made: .requirements/reference.txt
	$(call create,$(REFERENCE))
	@echo "install $<"
	@$(REFERENCE)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(LOCKER)/.made: .requirements/lock.txt
	$(call create,$(LOCKER))
	@echo "install $<"
	@$(LOCKER)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@
