# The README's commands. Each sets up .venv first when it is missing or outdated.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
SCALE ?= full
BIN := .venv/bin
# make study NAME=… PROFILE=profiles/slurm: as jobs of a cluster.
PROFILE ?= profiles/local
SNAKEMAKE := $(BIN)/snakemake --profile $(PROFILE)
# NAME may be a study's file, as the shell completes it.
STUDY = $(patsubst studies/%,%,$(NAME:.yaml=))
PLACE = $(if $(filter-out full,$(SCALE)),$(SCALE)/)$(STUDY)
READY := .venv/.ready
# An environment is bound to its folder: in a copied or moved checkout it is set up again.
BOUND := $(shell grep -sq "VIRTUAL_ENV=.\?$(CURDIR)/.venv" .venv/bin/activate || rm -f .venv/.ready)
# Snakemake and torch need a home folder, which a container's user may lack.
ifeq ($(shell test -n "$$HOME" && test -w "$$HOME" || echo none),none)
export HOME := $(CURDIR)/.home
$(shell mkdir -p "$(CURDIR)/.home")
endif
# Every job imports torch: without compiled modules that takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help quickstart study doctor plan watch test testslow testslurm lint verify check clean index capsule reproduce grade samples pictures bench options reproduction networks speeds lock sentences
help:  ## Show these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) scripts/setup.py
	@touch $@

quickstart: NAME = quickstart
quickstart: $(READY)  ## [SCALE=…]: build the study of built-in real images
	$(SNAKEMAKE) "results/$(PLACE)/report.html"

# Where jobs failed for good (exit status 3, not any other end), the report is made of the
# others and says which and why.
study: $(READY) guard-NAME  ## NAME=<study> [SCALE=full|laptop|smoke]: build one study
	@$(SNAKEMAKE) "results/$(PLACE)/report.html"; status=$$?; \
	if [ $$status = 3 ] && [ -e "results/$(PLACE)/split.npz" ]; then \
	  $(SNAKEMAKE) "results/$(PLACE)/report.html" --config partial=true; \
	fi; exit $$status

doctor: $(READY)  ## Inspect the SLURM cluster and write profiles/slurm/site.yaml
	$(BIN)/labmill doctor

plan: $(READY) guard-NAME  ## NAME=<study> [SCALE=…] [PROFILE=…]: what would run, why, its cost
	$(BIN)/labmill plan "$(PLACE)" --profile $(PROFILE)

watch: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: show a running study, from any terminal
	$(BIN)/labmill watch "$(PLACE)"

verify: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: recompute the scores, compare the report
	$(BIN)/labmill verify "$(PLACE)"

check: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: check a study file without running it
	$(BIN)/labmill check "$(PLACE)"

clean: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: list results of removed or renamed variants
	$(BIN)/labmill clean "$(PLACE)"

index: $(READY)  ## Write results/index.html: every study, its state, its answers
	$(SNAKEMAKE) results/index.html

capsule: $(READY) guard-NAME  ## NAME=<study> [SCALE=…]: study, code, predictions, report in one zip
	$(BIN)/labmill archive "$(PLACE)"

reproduce: $(READY)  ## CAPSULE=x.zip [RUN=variant:seed]: check an archive, rerun one run
	$(BIN)/labmill reproduce $(CAPSULE) $(RUN)

grade: $(READY)  ## CAPSULE="a.zip b.zip" SPEC=assignment.yaml: check archives against an assignment
	$(BIN)/labmill grade $(CAPSULE) --spec $(SPEC)

samples: $(READY)  ## [RESULTS="results/a results/b"]: put finished reports into docs/samples
	$(BIN)/python scripts/samples.py $(RESULTS)

pictures: $(READY) guard-NAME  ## NAME=<study>: record its terminal and live page for the README while it runs
	$(BIN)/python scripts/pictures.py $(STUDY)

# Long files first, so that neither worker waits for the other at the end.
test: $(READY)  ## Run the tests, except slow ones and those that need SLURM daemons
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  -m "not slurm and not slow" tests/workflow tests/archive tests

# Many more generated inputs than `make test`: takes hours.
testslow: $(READY)  ## Run the slow tests, and those of generated inputs with many more of them
	$(BIN)/python -m pytest --timeout=0 -m slow
	SLOW=1 LABMILL_STUDIES=300 LABMILL_WORDS=500 LABMILL_MUTATIONS=2000 LABMILL_DISKS=1 \
	  $(BIN)/python -m pytest --timeout=0 tests/report/test_any_study.py \
	  tests/workflow/test_words.py tests/study/test_study_mutations.py \
	  tests/workflow/test_full_disk.py
	$(BIN)/python benchmarks/kills.py 100

# A separate folder: any other pytest closes the usual one to the test's other users.
testslurm: $(READY)  ## Run the tests on real SLURM daemons, as root, with Debian's packages
	$(BIN)/python -m pytest tests/cluster -m slurm --basetemp=$$(mktemp -d)/slurm

lint: $(READY)  ## Check style, types, imports, docstrings and wording
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_circles.py
	$(BIN)/python scripts/check_voice.py
	$(BIN)/mypy

sentences: $(READY)  ## [STUDIES=10000]: search random studies for sentences that contradict another
	STUDIES=$(or $(STUDIES),10000) $(BIN)/python -m pytest -q tests/report/test_contradictions.py

bench: $(READY)  ## Measure speed and write docs/performance.md
	$(BIN)/python benchmarks/bench.py

options: $(READY)  ## Write docs/options.md from the schema
	$(BIN)/labmill options

reproduction: $(READY)  ## Put the finished runs on record, and write the table of docs/results.md
	$(BIN)/python scripts/reproduction.py

# Takes hours: every network is trained for some steps. A stopped call continues.
networks: $(READY)  ## Try the networks of torchvision and timm, and write docs/networks.md
	$(BIN)/python scripts/networks.py .networks.json

# Trains each network that the file lacks for seconds. A stopped call continues.
speeds: $(READY)  ## Measure the networks of our studies, for the first plan on any machine
	$(BIN)/python scripts/network_speeds.py

lock: $(READY)  ## Resolve requirements.lock again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

guard-%:
	@test -n "$($*)" || { echo "Say which one: make $(MAKECMDGOALS) $*=<name>, one of: $$(ls studies | sed -n 's/\.yaml$$//p' | tr '\n' ' ')"; exit 2; }
