# Two commands do everything on a machine with Python, make and a package index:
#   make demo    the digits application on this machine, until Ctrl-C (ONCE=1: one run, then end)
#   make test    all tests; installs the systems they need where it may
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin

.PHONY: native-wheel help demo demo-listings test test-long attack lint format bench bench-move bench-matrix bench-run bench-crash pins docs clean environment listings-environment test-environment

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

environment:
	@$(PYTHON) scripts/environment.py .venv requirements/demo.txt --editable

listings-environment:
	@$(PYTHON) scripts/environment.py .venv requirements/dev.txt --editable --plugins
	@$(PYTHON) scripts/environment.py .venv-spark requirements/spark.txt
	@$(PYTHON) scripts/systems.py

test-environment:
	@$(PYTHON) scripts/environment.py .venv requirements/dev.txt --editable --plugins
	@$(PYTHON) scripts/environment.py .venv-clients requirements/clients.txt
	@$(PYTHON) scripts/environment.py .venv-spark requirements/spark.txt
	@$(PYTHON) scripts/environment.py .venv-bigquery requirements/bigquery.txt
	@$(PYTHON) scripts/systems.py
	@$(PYTHON) scripts/environment.py .venv requirements/mysql.txt --compiles-mysqlclient
	@$(PYTHON) scripts/tools.py
	@$(PYTHON) scripts/native.py .venv

demo: environment  ## bring everything up, run the digits pipeline, serve its page (ONCE=1: then end)
	@$(BIN)/python scripts/demo.py $(if $(ONCE),--once)

demo-listings: listings-environment  ## 57 months of listings, crunched four ways (ONCE=1; LISTINGS_MONTHS=6: shorter)
	@$(BIN)/python scripts/demo_listings.py $(if $(ONCE),--once)

test: test-environment  ## all tests but the long ones (ARGS=... goes to pytest)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long" $(ARGS)

test-long: test-environment  ## all tests, the long ones too
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

attack: test-environment  ## attack the promises; LONG=1: the long form, which writes docs/trust.md
	$(BIN)/python scripts/attack.py $(if $(LONG),--long --write) $(ARGS)

lint: test-environment  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: test-environment  ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: test-environment  ## every measurement in bench/, one after the other
	@for file in bench/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-move: test-environment  ## moving data beside its peers; writes docs/benchmarks-move.md
	$(BIN)/python bench/bench_move.py --write $(ARGS)

bench-matrix: test-environment  ## every source to every target; writes docs/matrix.md
	$(BIN)/python bench/bench_matrix.py --write $(ARGS)

bench-run: test-environment  ## running work elsewhere; writes docs/benchmarks-run.md
	$(BIN)/python bench/bench_run.py --write $(ARGS)

bench-bigquery: test-environment  ## BigQuery beside its peers, against the emulator; writes docs/bigquery.md
	$(BIN)/python bench/bench_bigquery.py --write $(ARGS)

bench-crash: test-environment  ## killing workers, beside the official operators; writes docs/crashes.md
	$(BIN)/python bench/bench_crash.py --write $(ARGS)

pins:  ## renew requirements/*.txt from pyproject.toml (needs uv on PATH)
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  pyproject.toml --extra local-s3 --extra local-sagemaker --extra digits \
	  --no-emit-package sagemaker-local --output-file requirements/demo.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  pyproject.toml --extra local --extra digits --extra move --extra run --extra adopt --group dev \
	  --no-emit-package sagemaker-local --constraints requirements/demo.txt --output-file requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/mysql.in --constraints requirements/dev.txt --output-file requirements/mysql.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/clients.in --output-file requirements/clients.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/spark.in --output-file requirements/spark.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/bigquery.in --output-file requirements/bigquery.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/crash-peers.in --constraints requirements/dev.txt --output-file requirements/crash-peers.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  requirements/bigquery-peers.in --output-file requirements/bigquery-peers.txt

native-wheel: test-environment  ## a wheel of tradewind-native for manylinux on this processor, in dist/
	$(BIN)/python scripts/native.py .venv --wheel dist

docs: test-environment  ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=src $(BIN)/mkdocs build --strict --quiet

clean:  ## remove environments, state and caches
	rm -rf packages/*/target .venv .venv-clients .venv-peers .venv-crash-peers .venv-spark .venv-bigquery .venv-bigquery-peers .tools .tradewind dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
