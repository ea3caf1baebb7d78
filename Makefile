# Tiếng Làng. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-browser check format bench gallery sim install clean
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python

# Handed to tools/demo.py through the environment, so that a text may hold any quote.
export FILE TEXT ONCE SOUND IN

help: ## this list
	@echo "Tiếng Làng: village loudspeakers and boards. Say 'make' and one of:"
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14 | sed 's/^/  /'

demo: install ## schedule a bulletin and hear it from a simulated box (FILE=a.mp3 TEXT='Xin chào' SOUND=1 ONCE=1 IN=8)
	@$(PY) -m tools.demo

sim: install ## keep a server and a simulated box running, with its console (SOUND=1)
	@$(PY) -m tools.sim

test: check ## everything: check, then drivers, real broker, decoder and database, then one demonstration (minutes)
	@$(PY) -m tools.check --integration
	@$(MAKE) demo ONCE=1 FILE= TEXT= SOUND= IN=

test-browser: install ## the console's pages in a real Chromium, which is installed if it is missing
	@command -v chromium >/dev/null || sudo apt-get install -y --no-install-recommends chromium
	@$(PY) -m tools.check --browser

check: install ## format, lint, types, import rules, unit tests (under a minute)
	@$(PY) -m tools.check

format: install ## put all code into the house format
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: install ## measure start time, gaps, levels and throughput on this machine
	@$(PY) -m benchmarks

gallery: install ## draw the pictures of docs/boards again
	@$(PY) -m tools.gallery

install: ## what the rest needs: system packages (apt, only missing ones) and .venv; does nothing when all is there
	@bash tools/install.sh

clean: ## remove .venv and everything that was built or cached
	@rm -rf .venv .make build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
