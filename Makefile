# Each target sets up what it needs: on a fresh machine python3, git and make are enough.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.cache/uv/bin
unexport PYTHONHOME PYTHONPATH
INSTALLED := .venv/.installed

.PHONY: help repro test test-fast lab site verify lock clean
help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

$(INSTALLED): requirements.txt requirements-cuda.txt .ci/setup.py
	$(PYTHON) .ci/setup.py

repro: $(INSTALLED)  ## run what is stale, then print the verdicts
	.venv/bin/dvc repro
	@.venv/bin/python -m lib.verify --table

test: $(INSTALLED)  ## all tests
	.venv/bin/python -m pytest

test-fast: $(INSTALLED)  ## tests that take seconds
	.venv/bin/python -m pytest -m "not slow"

lab: $(INSTALLED)  ## JupyterLab; notebooks opened there write to .work/, never to results/
	.venv/bin/jupyter lab

site: $(INSTALLED)  ## executed notebooks as pages below site/
	.venv/bin/python -m lib.site

verify: $(INSTALLED)  ## make verify paper=gda: compute one paper from scratch and compare with the results in git
	@test -n "$(paper)" || { echo "which paper? make verify paper=gda"; exit 2; }
	.venv/bin/python -m lib.verify $(paper)

lock: $(INSTALLED)  ## compile pyproject.toml into the requirements files (needs uv)
	.venv/bin/python .ci/lock.py

clean:  ## remove what can be made again: caches, scratch folders, stamps, pages; data and environment stay
	rm -rf .cache .work/verify .work/*/run-* stamps site .pytest_cache .ruff_cache .hypothesis
	find lib tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
