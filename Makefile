# The README's commands. Each sets up .venv first when it is missing or outdated.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
SCALE ?= full
BIN := .venv/bin
# make study NAME=… PROFILE=profiles/slurm: as jobs of a cluster.
PROFILE ?= profiles/local
SNAKEMAKE := $(BIN)/snakemake --profile $(PROFILE)
PLACE = $(if $(filter full,$(SCALE)),,$(SCALE)/)$(NAME)
READY := .venv/.ready
# Every job imports torch: without compiled modules that takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help quickstart study doctor plan test testslurm lint verify index mlflow capsule reproduce grade samples bench options lock
help:  ## Show these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) scripts/setup.py
	@touch $@

quickstart: $(READY)  ## Run the main job on built-in real images: results/quickstart/report.html
	$(SNAKEMAKE) results/quickstart/report.html
	@echo "Read results/quickstart/report.html or results/quickstart/report.pdf"

# Where jobs failed for good (exit status 3, not any other end), the report is made of the
# others and says which and why.
study: $(READY) guard-NAME  ## NAME=<study> [SCALE=full|laptop|smoke]: build one study
	@$(SNAKEMAKE) results/$(PLACE)/report.html; status=$$?; \
	if [ $$status = 3 ] && [ -e results/$(PLACE)/split.npz ]; then \
	  $(SNAKEMAKE) results/$(PLACE)/report.html --config partial=true; \
	fi; exit $$status

doctor: $(READY)  ## Look at the SLURM cluster and write profiles/slurm/site.yaml
	$(BIN)/python -m labmill.cluster.doctor profiles/slurm/site.yaml

plan: $(READY) guard-NAME  ## NAME=<study> [SCALE=…] [PROFILE=…]: what would run, why, its price
	$(BIN)/python -m labmill.cluster.price $(PLACE) --profile $(PROFILE)

verify: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: recompute the scores, compare the report
	$(BIN)/python -m labmill.report.verify results/$(PLACE)

index: $(READY)  ## Write results/index.html: every study, its state, its headlines
	$(SNAKEMAKE) results/index.html

mlflow: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: all runs as a store for mlflow ui
	$(SNAKEMAKE) results/$(PLACE)/mlflow
	@echo "Look at it by: MLFLOW_ALLOW_FILE_STORE=true $(BIN)/uvx mlflow ui --backend-store-uri results/$(PLACE)/mlflow"

capsule: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: study, code, predictions, report in one zip
	$(BIN)/python -m labmill.report.capsule results/$(PLACE) results/$(PLACE).zip

reproduce: $(READY)  ## CAPSULE=x.zip [RUN=variant:seed]: check a capsule, run one run again
	$(BIN)/python -m labmill.report.reproduce $(CAPSULE) $(RUN)

grade: $(READY)  ## CAPSULE=x.zip SPEC=assignment.yaml: check a capsule against an assignment
	$(BIN)/python -m labmill.report.grade $(CAPSULE) $(SPEC)

samples: $(READY)  ## RESULTS="results/a results/b": put finished reports into docs/samples
	$(BIN)/python scripts/samples.py $(RESULTS)

test: $(READY)  ## Run the tests, but for those that need a SLURM of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slurm"

# A folder of its own: any other pytest closes the usual one to the test's other users.
testslurm: $(READY)  ## Run the tests on real SLURM daemons, as root, with Debian's packages
	$(BIN)/python -m pytest tests/slurm -m slurm --basetemp=$$(mktemp -d)/slurm

lint: $(READY)  ## Check style, rules and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

bench: $(READY)  ## Measure speed and write docs/performance.md
	$(BIN)/python benchmarks/bench.py

options: $(READY)  ## Write docs/options.md from the schema
	$(BIN)/python -m labmill.options docs/options.md

lock: $(READY)  ## Resolve requirements.lock again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

guard-%:
	@test -n "$($*)" || { echo "Say which one: make $(MAKECMDGOALS) $*=<name>, one of: $$(ls studies | sed -n 's/\.yaml$$//p' | tr '\n' ' ')"; exit 2; }
