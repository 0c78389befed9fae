# Forwards to the command `value-props`; everything is installed into .venv.
SHELL := /bin/bash
# The Python of a virtual environment; empty means the newest that works.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
SPARK_VENV := .venv-spark
AIRFLOW_VENV := .venv-airflow
RANKING_VENV := .venv-ranking
FEAST_VENV := .venv-feast
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

# Parameters of a build; empty means the default.
RAW ?=
OUT ?=
AS_OF ?=
WEEK_RULE ?=
WEEKS ?=
LOOKBACK ?=
ANCHOR ?=
MAX_QUARANTINE_RATE ?=
ALLOW_INCOMPLETE ?=
SERVING ?=
MAKE_CURRENT ?=
FULL ?=
REHASH ?=
MEMORY_LIMIT ?=
THREADS ?=
TEMP_DIR ?=
MAX_TEMP_SIZE ?=
FROM ?=
TO ?=
STORE ?=
WORKERS ?= 2
SCALE ?= 1
SCALES ?= 0.1 1 10

# Recipes take them from the environment, as they were given: neither make nor a shell reads a value.
VALUES := RAW OUT AS_OF WEEK_RULE WEEKS LOOKBACK ANCHOR MAX_QUARANTINE_RATE ALLOW_INCOMPLETE SERVING \
	MAKE_CURRENT FULL REHASH MEMORY_LIMIT THREADS TEMP_DIR MAX_TEMP_SIZE FROM TO STORE WORKERS SCALE SCALES
$(foreach name,$(VALUES),$(eval override $(name) := $$(value $(name))))
# Not in the line before: make 3.81, which macOS has, takes `override export RAW` for a name.
export $(VALUES)

# A misspelt parameter would have no effect, and the build would publish what was not asked for.
KNOWN := $(VALUES) PYTHON BIN SHELL VENV %_VENV VALUE_PROPS_% DBT_%
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(KNOWN),$(GIVEN))
ifneq ($(UNKNOWN),)
$(error $(UNKNOWN): no parameter has this name. Parameters are PYTHON $(VALUES). To set an environment \
	variable, write it before make)
endif

RESOURCES = --memory-limit "$$MEMORY_LIMIT" --threads "$$THREADS" --temp-dir "$$TEMP_DIR" \
	--max-temp-size "$$MAX_TEMP_SIZE"
TRUST = --full-refresh="$$FULL" --rehash="$$REHASH"
ANY_WEEKS = $(RESOURCES) --raw "$$RAW" --lookback-weeks "$$LOOKBACK" --lookback-anchor "$$ANCHOR" \
	--max-quarantine-rate "$$MAX_QUARANTINE_RATE" \
	--allow-incomplete="$$ALLOW_INCOMPLETE"
PARAMETERS = $(ANY_WEEKS) --as-of "$$AS_OF" --week-rule "$$WEEK_RULE" --report-weeks "$$WEEKS" \
	--serving-features="$$SERVING"

# A file at a time, since its tests share what they built, and in their order: the first take longest.
PYTEST = $(BIN)/python -m pytest --numprocesses "$$WORKERS" --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
DEMO := docker compose --file orchestration/docker/compose.yaml

.PHONY: help build backfill load check spark test test-spark test-ranking test-feast torture test-containers test-debian test-demo demo-env demo lint audit coverage dbt-coverage format deps docs serve-docs sample airflow ranking feast bench bench-daily lock clean

help: ## Print the targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / {printf "%-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(VENV)/run deps ## Build and publish: RAW= OUT= AS_OF= LOOKBACK= SERVING= MAKE_CURRENT= …
	@$(BIN)/value-props build --sample-if-empty --out "$$OUT" $(PARAMETERS) \
		$(TRUST) --make-current="$$MAKE_CURRENT"

backfill: $(VENV)/run deps ## Publish each week of a span to data/backfill: FROM=<Monday> TO=<Sunday>
	@$(BIN)/value-props backfill --from "$$FROM" --to "$$TO" --out "$$OUT" $(ANY_WEEKS)

load: $(VENV)/run deps ## Parse the raw files like build, and export their rows for Spark: STORE=
	@$(BIN)/value-props load --to "$$STORE" --raw "$$RAW" --out "$$OUT" $(RESOURCES) $(TRUST)

check: $(VENV)/run deps ## Check parameters and raw files, and print a profile; parameters as for build
	@$(BIN)/value-props check $(PARAMETERS)

test: $(VENV)/dev $(AIRFLOW_VENV)/run deps lint ## Run every check: WORKERS=
	$(PYTEST)

test-spark: $(VENV)/dev $(SPARK_VENV)/run deps ## Run the tests that need Java: Spark, alone and as a cluster
	$(BIN)/python -m pytest -m spark

test-ranking: $(VENV)/dev $(RANKING_VENV)/run deps ## Run the tests of the example that ranks carousels
	$(BIN)/python -m pytest -m ranking tests/python/orchestration/test_ranking.py

test-feast: $(VENV)/dev $(FEAST_VENV)/run deps ## Run the tests of what Feast serves
	$(BIN)/python -m pytest -m feast tests/python/orchestration/test_feast.py

spark: $(SPARK_VENV)/run ## Install dbt for Spark and DuckDB into .venv-spark

torture: $(VENV)/dev deps ## Attack the command for an hour or two, and write the figures to docs/reliability.md
	@rm -f target/torture.jsonl
	VALUE_PROPS_TORTURE=1 $(BIN)/python -m pytest -m '' tests/python/torture \
		--numprocesses "$$WORKERS" --dist worksteal
	@$(BIN)/python tests/python/torture/page.py

test-containers: $(VENV)/dev ## Build the image with podman and run the job in it; needs root
	$(BIN)/python -m pytest -m containers tests/python/orchestration/test_containers.py

test-debian: $(VENV)/dev ## Run `make build` and `make test` on a fresh Debian 13; needs root
	$(BIN)/python -m pytest -m debian tests/python/orchestration/test_debian.py

test-demo: $(VENV)/dev ## Start the demo with Docker Compose and check that it publishes; some minutes
	$(BIN)/python -m pytest -m demo tests/python/orchestration/test_demo.py

demo-env: ## Write random passwords for the demo stack: orchestration/docker/.env
	@orchestration/docker/write_env

demo: ## Start Airflow, a bucket, Prometheus and Grafana with Docker Compose
	$(DEMO) up --build

# SQL that dbt runs, and SQL that Python runs, apart from dbt.
DBT_SQL := models tests/singular analyses
QUERIES := $(wildcard value_props/*/sql)

lint: $(VENV)/dev deps ## Check formatting, style, the rules of the dbt project, types and security
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/sqlfluff lint --processes 1 $(DBT_SQL)
	$(BIN)/sqlfluff lint --processes 1 --templater placeholder $(QUERIES)
	$(BIN)/dbt --quiet parse --target-path $(COVERAGE) --vars '{serving_features: true}'
	$(BIN)/dbt-bouncer run --only manifest_checks
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin value_props
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive value_props orchestration examples
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet --pedantic .github

audit: $(VENV)/dev ## Check the pinned packages for known vulnerabilities
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		$(patsubst %,--requirement %,$(wildcard requirements*.txt))

coverage: $(VENV)/dev deps ## Run the Python tests, and fail below 90 % coverage
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

# What plain dbt builds of the fixture, apart from the development file.
COVERAGE := target/coverage
ALL_OF_FIXTURE := --vars '{raw_path: tests/fixtures/clean, serving_features: true}'
DBT_ON_FIXTURE = VALUE_PROPS_DEV_DB=$(COVERAGE)/dev.duckdb $(BIN)/dbt --quiet
dbt-coverage: $(VENV)/dev deps ## Build the fixture, and check descriptions, tests and project rules
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	$(DBT_ON_FIXTURE) build --target-path $(COVERAGE) $(ALL_OF_FIXTURE)
	$(DBT_ON_FIXTURE) docs generate --target-path $(COVERAGE) $(ALL_OF_FIXTURE)
	$(BIN)/dbt-coverage compute doc --run-artifacts-dir $(COVERAGE) --cov-fail-under 1.0 \
		--model-path-filter models/ --cov-report $(COVERAGE)/doc.json
	$(BIN)/dbt-bouncer run

format: $(VENV)/dev deps ## Format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix $(DBT_SQL)
	$(BIN)/sqlfluff fix --templater placeholder $(QUERIES)

deps: $(VENV)/run ## Install the dbt packages, or the stand-ins if the hub cannot be reached
	@$(BIN)/value-props deps

docs: $(VENV)/dev deps ## Write the docs, the column lineage and the report to target/docs
	@$(BIN)/value-props docs

serve-docs: docs ## Serve the docs site on 127.0.0.1:8080
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory target/docs 8080

sample: $(VENV)/run ## Write sample data to RAW (default data/raw): SCALE=1
	@$(BIN)/value-props sample --scale "$$SCALE" --out "$${RAW:-data/raw}"

airflow: $(VENV)/run deps $(AIRFLOW_VENV)/run ## Run the weekly job under Airflow on 127.0.0.1:8081, until Ctrl-C
	@orchestration/airflow/up

ranking: $(RANKING_VENV)/run ## Rank next week's carousels from OUT (default data/out) to data/ranking.parquet
	@$(RANKING_VENV)/bin/python examples/ranking/rank.py "$${OUT:-data/out}" data/ranking.parquet

feast: $(FEAST_VENV)/run ## Make Feast serve the features in OUT (default data/out); first build them with SERVING=1
	@$${OUT:+env "VALUE_PROPS_FEATURES=$$OUT/features.parquet"} $(FEAST_VENV)/bin/python orchestration/feast/refresh.py

bench: $(VENV)/dev deps ## Measure builds against a bare scan and a Polars job: SCALES="0.1 1 10"
	@$(BIN)/python benchmarks/bench.py --scales $$SCALES

bench-daily: $(VENV)/dev deps ## Measure a run that adds one day to 60 and to 120 days
	@$(BIN)/python benchmarks/daily.py

lock: $(VENV)/dev ## Resolve the requirements files again
	$(BIN)/python -m pip install --quiet uv
	echo pip | $(BIN)/uv pip compile $(LOCK_FLAGS) --output-file requirements-pip.txt -
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra dev --output-file requirements-dev.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra spark --constraint requirements-dev.txt --output-file requirements-spark.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) --output-file requirements-airflow.txt orchestration/airflow/requirements.in
	$(BIN)/uv pip compile $(LOCK_FLAGS) --output-file requirements-ranking.txt examples/ranking/requirements.in
	echo duckdb==1.5.0 | $(BIN)/uv pip compile $(LOCK_FLAGS) --output-file requirements-oldest-duckdb.txt -
	$(BIN)/uv pip compile $(LOCK_FLAGS) --output-file requirements-feast.txt orchestration/feast/requirements.in

LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header

clean: ## Remove everything that was installed and built, except data/
	rm -rf $(VENV) $(SPARK_VENV) $(AIRFLOW_VENV) $(RANKING_VENV) $(FEAST_VENV) tests/azurite/node_modules dbt_packages target logs .mypy_cache .ruff_cache .pytest_cache *.egg-info

# Pythons for which the locks hold, newest first.
PYTHONS := python3.13 python3.12 python3.11 python3
# What a Python must have. Debian has ensurepip in a package of its own.
FITS := import sys; assert (3, 11) <= sys.version_info < (3, 14); import ensurepip, ssl, venv
NO_PYTHON = $(if $(PYTHON),$(PYTHON) is,This machine has) no Python 3.11, 3.12 or 3.13 that can make a virtual \
	environment: install one (Debian 12 and 13, Ubuntu 24.04: sudo apt install python3-venv; macOS: \
	brew install python@3.13; elsewhere: uv python install 3.13), or name one: make build PYTHON=python3.12
PIP_INSTALL := install --quiet --disable-pip-version-check --require-hashes
# Twice quiet: once, and pip shows what setuptools says of any folder that is installed in place.
PIP_EDIT := install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .

# The pip that comes with Python 3.11 does not see that a lock pins a package if it pins it with an extra.
%/bin/python: | requirements-pip.txt
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
		$$python -c '$(FITS)' 2>/dev/null || continue; \
		echo "Making $* with $$($$python --version)"; \
		$$python -m venv --clear $* \
			&& $@ -m pip $(PIP_INSTALL) --requirement requirements-pip.txt && exit; \
		rm -rf $*; exit 2; \
	done; echo "$(NO_PYTHON)" >&2; exit 2

$(VENV)/run: $(VENV)/bin/python requirements.txt pyproject.toml
	@$(if $(wildcard $(VENV)/dev),true,echo "Installing into $(VENV)")
	@$(BIN)/python -m pip $(PIP_INSTALL) --requirement requirements.txt
	@$(BIN)/python -m pip $(PIP_EDIT)
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.txt
	@$(BIN)/python -m pip $(PIP_INSTALL) --requirement requirements-dev.txt
	@touch $@

$(SPARK_VENV)/run: $(SPARK_VENV)/bin/python requirements-spark.txt pyproject.toml
	@echo "Installing into $(SPARK_VENV)"
	@$(SPARK_VENV)/bin/python -m pip $(PIP_INSTALL) --requirement requirements-spark.txt
	@$(SPARK_VENV)/bin/python -m pip $(PIP_EDIT)
	@touch $@

$(AIRFLOW_VENV)/run: $(AIRFLOW_VENV)/bin/python requirements-airflow.txt
	@echo "Installing into $(AIRFLOW_VENV)"
	@$(AIRFLOW_VENV)/bin/python -m pip $(PIP_INSTALL) --requirement requirements-airflow.txt
	@touch $@

$(RANKING_VENV)/run: $(RANKING_VENV)/bin/python requirements-ranking.txt
	@echo "Installing into $(RANKING_VENV)"
	@$(RANKING_VENV)/bin/python -m pip $(PIP_INSTALL) --requirement requirements-ranking.txt
	@touch $@

$(FEAST_VENV)/run: $(FEAST_VENV)/bin/python requirements-feast.txt
	@echo "Installing into $(FEAST_VENV)"
	@$(FEAST_VENV)/bin/python -m pip $(PIP_INSTALL) --requirement requirements-feast.txt
	@touch $@
