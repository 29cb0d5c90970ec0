# Each target does its own set-up: Python 3.11 or later and make are all that has to be there.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := $(CURDIR)/.venv/bin
READY := .venv/.ready
# What tests hold our results against, done by somebody else: heavy, and no command needs it.
ORACLES := .venv/.oracles
NODE_READY := node_modules/.ready
# Node.js for the CDK comes from a Python wheel, in the same folder as everything else.
export PATH := $(BIN):$(PATH)
CDK := node_modules/.bin/cdk
CONTEXT ?=
MODE ?= account
LOCAL := build/local/cdk.out
DEMO := build/demo/cdk.out
DEMO_ORG := build/demo-org/cdk.out
DEMO_PARAMETERS := {"allowedInstanceProfileArns": "arn:aws:iam::*:instance-profile/app-*"}
SYNTHESIZED := app.py cdk.json $(shell find infra lambda -name '*.py' -o -name '*.yaml' -o -name '*.sql' -o -name '*requirements.txt' \
	-o -path '*/report/report.*')

.DEFAULT_GOAL := help
.PHONY: help demo demo-org local test test-report check lint types coverage synth bench format lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) $(DEMO)/manifest.json  ## a dozen EC2 instances judged by the real functions, without AWS; their findings and evidence
	@python -m local.demo $(DEMO)

demo-org: $(READY) $(DEMO_ORG)/manifest.json  ## the same for an organization: one function, several member accounts
	@python -m local.demo_org $(DEMO_ORG)

local: $(READY) $(LOCAL)/manifest.json  ## a local AWS with the rule in it; prints the endpoints to export
	@python -m local --assembly $(LOCAL)

test: $(READY) $(NODE_READY) $(ORACLES)  ## all tests
	python -m pytest -n auto --dist loadfile

test-report: $(READY) $(ORACLES)  ## the evidence report in a real Chromium, which has to be installed; CHROMIUM=path
	python -m pytest tests/browser

check: lint types test synth  ## lint, types, tests, synth with cdk-nag, cfn-lint: what CI runs

lint: $(READY)  ## ruff, its formatter included
	ruff check .
	ruff format --check .

types: $(READY) $(ORACLES)  ## mypy, strict
	mypy

coverage: $(READY) $(NODE_READY) $(ORACLES)  ## the tests again, with branch coverage of the package
	coverage run -m pytest
	coverage report --show-missing

synth: $(READY) $(NODE_READY)  ## cdk.out, checked by cdk-nag and cfn-lint; MODE=organization for an example organization; CONTEXT="-c name=value"
	rm -rf cdk.out
	$(CDK) synth --quiet $(if $(filter organization,$(MODE)),--context environment=organization-example) $(CONTEXT)
	cfn-lint cdk.out/*.template.json infra/templates/*.yaml
	@echo "cdk.out is written, cdk-nag and cfn-lint found nothing"

bench: $(READY) $(NODE_READY)  ## benchmarks beside a floor and beside peers; several minutes
	python -m bench

format: $(READY)  ## let ruff format and mend
	ruff check --fix .
	ruff format .

lock: $(READY)  ## pin the dependencies named in the .in files, with hashes
	pip install --quiet uv==$(UV_VERSION)
	for name in lambda/requirements lambda/evidence-requirements requirements requirements-dev requirements-oracles \
		bench/requirements; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade \
			--constraint lambda/requirements.txt --override requirements-override.in \
			--custom-compile-command "make lock" $$name.in -o $$name.txt || exit; \
	done

clean:  ## everything that was made here
	rm -rf .venv node_modules build cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(LOCAL)/manifest.json: $(SYNTHESIZED) $(NODE_READY)
	@echo "Synthesizing the stack" >&2
	@$(CDK) synth --quiet --output $(LOCAL) $(CONTEXT)

$(DEMO)/manifest.json: $(SYNTHESIZED) $(NODE_READY)
	@echo "Synthesizing the stack" >&2
	@$(CDK) synth --quiet --output $(DEMO) --context environment=security-hub --context evidence=true \
		--context 'ruleParameters=$(DEMO_PARAMETERS)' Rolecall Rolecall-Evidence

$(DEMO_ORG)/manifest.json: $(SYNTHESIZED) $(NODE_READY)
	@echo "Synthesizing the stacks" >&2
	@$(CDK) synth --quiet --output $(DEMO_ORG) --context environment=organization-example \
		--context regions=eu-west-1 --context 'ruleParameters=$(DEMO_PARAMETERS)' '*-Rule-*'

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"rolecall needs Python 3.11 or later, {sys.executable} is {sys.version.split()[0]}; name another with make PYTHON=...")'
	@echo "Setting up .venv (once)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@# uv installs in seconds what takes pip minutes; pip takes over where uv cannot reach the index that pip is set up for.
	@# --no-deps: the lock file is complete, and one line of it overrides what a package asks for.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-dev.txt \
		|| $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(ORACLES): requirements-oracles.txt $(READY)
	@echo "Setting up what tests compare with (once)" >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-oracles.txt \
		|| $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements-oracles.txt
	@touch $@

$(NODE_READY): package-lock.json $(READY)
	@echo "Setting up the CDK command line (once)" >&2
	@npm ci --silent --no-audit --no-fund
	@touch $@
