# `make demo` and `make test` need nothing but Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export UV_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Without it the first start of every process would compile what it imports.
export UV_COMPILE_BYTECODE := 1
# Nor is what is ours compiled again by each of the thousands of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-dev demo docs shots test for-tests mutants real real-comfyui real-ray bench bench-ray rehearsal lint \
  up pins vendor clean

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# A stamp per set of pins: a second run installs nothing.
$(VENV)/.installed: $(UV) requirements/install.txt pyproject.toml
	$(UV) pip install --quiet --require-hashes -r requirements/install.txt
	$(UV) pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements/dev.txt
	$(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@

# What generates clients in JavaScript, and checks the description as their authors do; clients in JavaScript that others
# wrote. Node comes with the pins above.
NPM := tests/generators tests/clients tests/dashboard
$(VENV)/.installed-npm: $(VENV)/.installed-dev $(NPM:%=%/package-lock.json) $(NPM:%=%/.npmrc)
	for folder in $(NPM); do $(BIN)/npm ci --silent --prefix $$folder || exit; done
	touch $@

LITELLM := build/litellm
$(LITELLM)/.installed: $(UV) requirements/litellm.txt
	$(PYTHON) -m venv $(LITELLM)
	VIRTUAL_ENV=$(CURDIR)/$(LITELLM) $(UV) pip install --quiet --python $(LITELLM)/bin/python --require-hashes -r requirements/litellm.txt
	touch $@

# Safelight as pip installs it, without a checkout: from the built package, with the extras and without. The pins are those of
# install.txt in both, and what is compiled once does for both.
PACKAGE := build/package
$(PACKAGE)/.environments: $(VENV)/.installed-dev
	rm -rf $(PACKAGE) && mkdir -p $(PACKAGE)
	$(UV) venv --quiet --relocatable --python $(BIN)/python $(PACKAGE)/venv
	$(UV) pip install --quiet --python $(PACKAGE)/venv --require-hashes -r requirements/install.txt
	$(UV) pip compile --quiet --no-header --constraint requirements/install.txt pyproject.toml -o $(PACKAGE)/bare.txt
	cp -al $(PACKAGE)/venv $(PACKAGE)/bare
	$(UV) pip sync --quiet --python $(PACKAGE)/bare $(PACKAGE)/bare.txt
	touch $@

$(PACKAGE)/.installed: $(PACKAGE)/.environments pyproject.toml README.md LICENSE $(shell find src docs deploy -type f -not -name "*.pyc")
	rm -rf $(PACKAGE)/dist
	$(BIN)/python -m hatchling build -d $(PACKAGE)/dist >/dev/null
	for each in venv bare; do \
	  $(UV) pip install --quiet --python $(PACKAGE)/$$each --no-deps --force-reinstall $(PACKAGE)/dist/*.whl || exit; \
	  $(UV) pip check --quiet --python $(PACKAGE)/$$each || exit; done
	touch $@

# The image, made of what deploy/Containerfile says, without a container engine (tests/deploy/engine.py). Takes root: as
# another user nothing is made, and the tests that need it say so.
IMAGE := build/image
$(IMAGE)/image.json: $(VENV)/.installed-dev deploy/Containerfile requirements/build.txt requirements/image.txt pyproject.toml \
  tests/deploy/engine.py tests/deploy/enter.py $(wildcard $(shell git ls-files src docs deploy/systemd))
	[ "$$(id -u)" -ne 0 ] || $(BIN)/python -m tests.deploy.engine $(IMAGE)

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

demo: install-dev
	$(BIN)/python -m bench.demo

# Pictures of every page of the dashboard, below build/shots/; those of the README are written anew.
shots: install-dev
	$(BIN)/python tests/install_system_packages.py
	$(BIN)/python -m bench.shots

# The documentation as a site, in build/site; pages that are made from code are written anew. SITE_URL: its address, if it has one.
docs: install-dev
	$(BIN)/python -m docs_site

up: install
	$(BIN)/safelight up

# What tests need, two at a time: each waits for others for half of its time.
for-tests: $(VENV)/.installed-npm $(LITELLM)/.installed $(PACKAGE)/.installed $(IMAGE)/image.json

test: install-dev
	$(MAKE) --no-print-directory --jobs=2 for-tests
	$(BIN)/python tests/install_system_packages.py
	$(BIN)/python -m pytest $(ARGS)

# Makes small wrong changes, one at a time, and tells which of them no test notices. An hour on two processors; ONLY names an area.
mutants: $(VENV)/.installed-npm
	$(BIN)/python tests/install_system_packages.py
	$(BIN)/python -m tests.mutants $(if $(ONLY),--only $(ONLY))

# A real engine as the judge of the adapters. Compiles it the first time: some minutes, and a C++ compiler.
real: install-dev
	$(BIN)/python -m tests.real.build
	$(BIN)/python -m pytest --override-ini addopts="--timeout 300 --strict-markers -q" tests/real --ignore=tests/real/test_comfyui.py --ignore=tests/real/ray $(ARGS)

# The ComfyUI adapter and its fake, on a real ComfyUI. Installs it the first time: some minutes, and 2 GB or more.
real-comfyui: install-dev
	$(BIN)/python -m tests.real.comfyui
	$(BIN)/python -m pytest --override-ini addopts="--timeout 300 --strict-markers -q" tests/real/test_comfyui.py $(ARGS)

RAY := build/ray/venv
# In an environment of its own: what the model server stands on has gigabytes. torch comes first, of the kind that pip finds
# for this machine, and without torchvision, whose build would have to match.
$(RAY)/.installed: requirements/ray.txt pyproject.toml $(UV)
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	VIRTUAL_ENV=$(CURDIR)/$(RAY) $(UV) pip install --quiet --python $(RAY)/bin/python --no-deps --require-hashes -r requirements/ray.txt
	VIRTUAL_ENV=$(CURDIR)/$(RAY) $(UV) pip install --quiet --python $(RAY)/bin/python --no-deps --editable .
	touch $@

# The model server with small random pipelines on a real Ray, without a graphics card. Installs it the first time.
real-ray: $(RAY)/.installed
	$(RAY)/bin/python -m pytest --override-ini addopts="--timeout 300 --strict-markers -q --disable-warnings" tests/real/ray $(ARGS)

# How much of what diffusers makes in a loop the model server makes.
bench-ray: $(RAY)/.installed
	$(RAY)/bin/python -m bench.model_server

# Others' files that the dashboard is made with, at the versions that VENDOR.toml has.
vendor: install-dev
	$(BIN)/python -m tests.dashboard.vendor

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install-dev
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

# Outages on several nodes under load, and proof that nothing is lost, doubled or stuck. Three minutes; PHASES names some.
rehearsal: install-dev
	$(BIN)/python tests/install_system_packages.py
	$(BIN)/python -m bench.rehearsal $(if $(PHASES),--phases $(PHASES))

# Rewrites the pins. Needs a package index; records no address of one.
pins: $(UV)
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --extra embedded --extra builtin pyproject.toml -o requirements/install.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --extra embedded --extra builtin --extra mcp --extra otel --group dev pyproject.toml -o requirements/dev.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --group build -o requirements/build.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --extra embedded --extra builtin --extra mcp --extra otel \
	  -c requirements/dev.txt pyproject.toml -o requirements/image.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --group real -o requirements/real.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --extra embedded --extra builtin --extra ray --group real-ray pyproject.toml \
	  -c requirements/dev.txt --overrides requirements/ray-overrides.txt --no-emit-package torch -o requirements/ray.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make pins" --group litellm -o requirements/litellm.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-deps \
	  --custom-compile-command "make pins" --group real-engine -o requirements/real-engine.txt

clean:
	rm -rf $(VENV) demo build bench/out tests/generators/node_modules tests/clients/node_modules tests/dashboard/node_modules
