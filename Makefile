# What one does with Farshore. Each target does the set-up that it needs, and skips it in seconds when it is there.
# Programs are started as `python -m NAME`, never by the scripts beside it: those break in some paths (setup/python.sh).
SHELL = /bin/sh
PYTHON = .venv/bin/python
PYTEST = $(PYTHON) -m pytest -n 2 --dist worksteal
.DEFAULT_GOAL = help
# What the demo and the tests keep (the list of labs, the answer of the KVM probe) stays in the clone.
export XDG_CACHE_HOME = $(CURDIR)/.cache/user
.PHONY: help setup setup-bench demo test test-all test-fresh lint bench docs

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

setup: ## everything the demo and the tests need: packages (named first), Python libraries, guest
	@sh setup/setup.sh

setup-bench:
	@sh setup/setup.sh bench

demo: setup ## two sites, two real VMs, protection, a test, disaster, and home again, verified; 6 minutes
	@$(PYTHON) -m farshore demo $(ARGS)

test: setup ## all tests but the slow ones, under 20 minutes; as a user, those that need root are left out
	@$(PYTEST) -m "not slow" $(ARGS)

test-all: setup ## the slow ones too: whole matrices and soaks; goes on where it was ended
	@$(PYTEST) --resume=.cache/test-all.json $(ARGS)

test-fresh: ## demo and tests on bare Debian 12 and 13 roots (root; see setup/fresh.sh)
	@sh setup/fresh.sh

lint: setup ## ruff, mypy, walls between the packages
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

bench: setup-bench ## the benchmarks, as ratios against other programs in the same run
	@$(PYTHON) -m benchmarks $(ARGS)

docs: setup ## checks that docs/ and README say what the program does
	@$(PYTEST) -m docs $(ARGS)
