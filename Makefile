# Greenroom's commands. lab/lab, the playbooks and tests/ do the work.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Some containers set this variable; every run would then compile all plugins again.
unexport PYTHONDONTWRITEBYTECODE
STAGING := -i inventories/staging
# Most tests without hosts wait for a program, so four run at once. Tests of one file share fixtures.
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile
# Beside the tests on hosts, fewer run at once, and each may take longer.
MEANWHILE := --numprocesses 2 --dist loadfile --timeout 900
WITHOUT_HOSTS := tests/style tests/templates tests/unit tests/contract tests/loopback
# `make test SHUFFLE=yes` shuffles the test files on hosts and prints the seed; SHUFFLE=12345 repeats that order.
ORDER := $(if $(SHUFFLE),--random-order $(if $(filter-out yes,$(SHUFFLE)),--random-order-seed=$(SHUFFLE)))
# tests/minutes.py reads these files.
RECORD := --junitxml=reports/tests
# Keep colors on a terminal although pytest writes to a pipe.
COLOR := $$(test -t 1 && echo --color=yes)

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

.PHONY: stage
stage: lab ## set up a staging environment from scratch: lab, secrets, site.yml
	ansible-playbook $(STAGING) playbooks/secrets.yml -e create=missing
	ansible-playbook $(STAGING) site.yml
	@lab/lab status

.PHONY: setup
setup: ## install missing Debian and Python packages
	@lab/lab setup

.PHONY: lab
lab: ## start staging's bare hosts, Vault and the registry
	@lab/lab up staging

.PHONY: production
production: ## start production's bare hosts
	@lab/lab up production

.PHONY: status
status: ## show hosts, slots, releases and addresses
	@lab/lab status

.PHONY: ssh
ssh: ## open a shell on a host: make ssh HOST=app1 (or control1, production/app1)
	@lab/lab ssh $(or $(HOST),app1)

# ENV names the inventory, HOST one host, SLOT a slot that is not the live one. With ASK, sudo has a password there.
OPERATE = python tools/operate.py --inventory inventories/$(or $(ENV),staging) $(if $(SERVICE),--service $(SERVICE)) \
  $(if $(HOST),--host $(HOST)) $(if $(SLOT),--slot $(SLOT)) $(if $(ASK),--ask-become-pass)

.PHONY: ps
ps: ## show the containers on all app hosts: make ps (ENV=production, HOST=app1)
	@$(OPERATE) ps

.PHONY: logs
logs: ## show the output of a service and its jobs: make logs SERVICE=portal (LINES=100, FOLLOW=yes)
	@$(OPERATE) logs $(if $(LINES),--lines $(LINES)) $(if $(FOLLOW),--follow)

.PHONY: exec
exec: ## run a program in the live slot's container: make exec SERVICE=portal COMMAND="id -u"
	@$(OPERATE) exec --command '$(subst ','\'',$(COMMAND))'

.PHONY: console
console: ## open a console in a new container like the live slot's: make console SERVICE=portal
	@$(OPERATE) console $(if $(COMMAND),--command '$(subst ','\'',$(COMMAND))')

.PHONY: test
test: lab ## run all tests (30 minutes or less); hosts stay up afterwards
	color=$(COLOR); python tests/side_by_side.py \
	  pytest $(WITHOUT_HOSTS) $(MEANWHILE) --cov $$color $(RECORD)/without-hosts.xml -- \
	  pytest tests/real $(ORDER) $$color $(RECORD)/hosts.xml

.PHONY: test-unit
test-unit: setup ## run the tests that need no hosts
	pytest tests/unit tests/templates tests/contract $(SIDE_BY_SIDE) --cov

.PHONY: test-loopback
test-loopback: lab ## run the tests with real programs on this machine: Kratos, Vault
	pytest tests/loopback $(SIDE_BY_SIDE)

.PHONY: test-style
test-style: setup ## run the linters and type checks
	pytest tests/style $(SIDE_BY_SIDE)

.PHONY: test-real
test-real: lab ## run the tests on lab hosts
	pytest tests/real $(ORDER) $(RECORD)/hosts.xml

.PHONY: proof
proof: lab ## run the sections of the long proof that haven't passed yet (takes hours; only one: make proof-edge)
	@python -m bench.proof $(addprefix --without ,$(WITHOUT))

.PHONY: proof-status
proof-status: ## show which sections of the long proof have passed, and why others are open
	@python3 -m bench.proof --status

proof-%: lab
	@python -m bench.proof $*

.PHONY: bench
bench: lab ## run the benchmarks in bench/ and write their tables (only one: make bench-site)
	@$(MAKE) --no-print-directory --keep-going $(addprefix bench-,template_tree identity_seed site release stage)

bench-%: lab
	python -m bench.$*.run $(if $(ROUNDS),--rounds $(ROUNDS)) $(OPTIONS)

.PHONY: drill
drill: lab ## practice a cutover under load: make drill FAULT=edge-killed; the report goes to reports/
	ansible-playbook $(STAGING) playbooks/deploy.yml -e release_name=$(or $(RELEASE),1.1)
	ansible-playbook $(STAGING) playbooks/drill.yml -e fault=$(or $(FAULT),none)

.PHONY: docs
docs: setup ## generate docs/reference/ from options, modules, service.yml and this file
	python docs/generate.py

.PHONY: requirements
requirements: setup ## compile requirements.txt from requirements.in
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make requirements' requirements.in --output-file requirements.txt
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make requirements' tools/requirements.in --output-file tools/requirements.txt

.PHONY: release
release: setup ## write archive, SBOM and checksums to dist/, and tag the commit: make release VERSION=1.2.0
	@python tools/release.py $(or $(VERSION),missing)

.PHONY: lock
lock: ## write the digests of a release's images into its lock file: make lock RELEASE=1.1 (ENV=production)
	ansible-playbook -i inventories/$(or $(ENV),staging) playbooks/lock.yml $(if $(RELEASE),-e release_name=$(RELEASE))

.PHONY: service
service: ## write the folder of a new service, with every key explained: make service NAME=shop PORT=8080
	@python tools/new_service.py '$(NAME)' $(if $(PORT),--port $(PORT)) $(if $(IMAGE),--image $(IMAGE)) \
	  $(if $(ROUTE),--route $(ROUTE))

.PHONY: new
new: ## write the inventory of a new environment: make new ENV=acme DOMAIN=acme.test HOSTS=10.1.0.5
	@python tools/new_environment.py --name '$(ENV)' --domain '$(DOMAIN)' --hosts '$(HOSTS)' \
	  --public '$(PUBLIC)' --network '$(NETWORK)' --shared '$(SHARED)' --registry '$(REGISTRY)' --vault '$(VAULT)' \
	  --login '$(LOGIN)' --release '$(RELEASE)' $(if $(PROTECTED),--protected)

.PHONY: import-compose
import-compose: ## convert a compose file to services and a release file: make import-compose FILE=compose.yml
	@python tools/import_compose.py '$(FILE)' --release '$(RELEASE)' --prefix '$(PREFIX)'

.PHONY: collection
collection: setup ## write the modules as an Ansible collection to dist/
	@python tools/collection.py

.PHONY: down
down: ## remove hosts, networks and keys of the lab; caches stay
	@lab/lab down

.PHONY: clean
clean: ## the same as down, and remove caches and the virtual environment
	@lab/lab clean
