# `make help` says what can be done. Variables are given after the target: `make run ARGS="--port-offset 100"`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
ARGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)
THRONG := $(TARGET)/debug/throng
TOOLS ?= $(HOME)/.cache/throng/tools
WEB := target/web

# Pinned: a check that passed yesterday passes today.
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
export PATH := $(TOOLS)/bin:$(PATH)

##@ To use

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: web ## a server to chat on: localhost, its page on http://localhost:5280/ (ARGS="--port-offset N --fresh")
	@# Debug: built in half the time of a release, and fast enough for people.
	$(CARGO) build --locked --package throng
	exec $(THRONG) run --dev $(ARGS)

web: ## the page to chat from, into target/web
	@mkdir -p $(WEB)
	@cp web/index.html web/chat.js $(WEB)/
	@if ! command -v npm >/dev/null; then \
	  echo "npm is not installed: no chat page; any other XMPP client will do"; \
	elif ! cmp -s web/package-lock.json $(WEB)/.installed; then \
	  npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel=error \
	  && rm -rf $(WEB)/converse && cp -R web/node_modules/converse.js/dist $(WEB)/converse \
	  && cp web/package-lock.json $(WEB)/.installed \
	  || echo "Converse.js could not be installed: no chat page; any other XMPP client will do"; \
	fi

##@ To change

check: lint test ## everything a change must pass
lint: fmt-check clippy deny docs-check ## formatting, lints, dependencies, generated files

fmt-check: ## formatting
	$(CARGO) fmt --all --check

clippy: ## lints
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

deny: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY) ## who may use which third-party crate, licences, sources
	$(CARGO) deny --locked check --hide-inclusion-graph \
	  --allow duplicate --allow unused-wrapper --allow license-not-encountered bans licenses sources

docs-check: ## generated references are those of this code
	$(CARGO) run --locked --quiet --package throng -- docs --check

docs: ## write the generated references
	$(CARGO) run --locked --quiet --package throng -- docs

test: ## unit, law and scenario tests
	@# Binaries first, with the features the tests get: scenarios start them.
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace $(ARGS)

cover: ## the tests' coverage of lines, in target/cover
	.ci/cover $(ARGS)

##@ To doubt

clients: ## clients we did not write, against a server started for them (SUITES="slixmpp gloox strophe-ws smack smack-resume page")
	$(CARGO) build --locked --package throng
	THRONG=$(THRONG) tests/clients/run $(SUITES)

fuzz: $(TOOLS)/bin/cargo-fuzz-$(CARGO_FUZZ) ## each fuzz target for SECONDS=1200
	.ci/fuzz $(or $(SECONDS),1200)

kills: ## the disk store, killed KILLS=200 times under writes
	THRONG_KILLS=$(or $(KILLS),200) $(CARGO) test --locked --package store --test kill -- --nocapture

soak: ## STANZAS=100000 through split roles while each in turn is restarted
	STANZAS=$(or $(STANZAS),100000) $(CARGO) test --locked --package throng-tests --test soak -- --ignored --nocapture

simulate: ## owners, routers and edges in simulated time and trouble, SEEDS=1000 from FIRST=1; SEED=7 is one
	SEEDS=$(or $(SEEDS),1000) FIRST=$(or $(FIRST),1) CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  $(CARGO) test --locked --release --package session --lib -- $(if $(SEED),simulation::whatever,simulation::many) --include-ignored --nocapture

bench: ## the benches; docs/measurements has figures and method
	$(CARGO) bench --locked --package xmpp --package store --benches $(ARGS)

# LOAD is what is measured: a release build, with nothing of it in the way of the debug one.
LOAD := $(TARGET)/release/throng-bench

load:
	$(CARGO) build --locked --release --package throng --package throng-bench

bench-chat: load ## CPU for each delivered message, beside a relay of bytes (ARGS="--archive on --sm --split --pairs 5")
	$(LOAD) chat $(ARGS)

bench-idle: load ## memory for each of 10,000 idle sessions (ARGS="--tls")
	$(LOAD) idle $(ARGS)

bench-login: load ## CPU for each login over TLS
	$(LOAD) login $(ARGS)

PEERS := --throng-load $(TARGET)/release/throng-load

bench-peers: ## ejabberd, Prosody and this server on the same work, into docs/measurements/peers.md (ARGS="--rounds 1 --only muc")
	$(CARGO) build --locked --release --package throng --package throng-load
	loadtest/peers/bench --throng $(TARGET)/release/throng $(PEERS) $(ARGS)

bench-tsung: ## Tsung and throng-load with the same work on ejabberd and Prosody, into docs/measurements/tsung.md
	$(CARGO) build --locked --release --package throng-load
	loadtest/peers/against-tsung $(PEERS) $(ARGS)

faults: ## the ledger must find one fault in 10,000 among a million messages, and no other
	$(CARGO) test --locked --release --package throng-load --test faults -- --ignored --nocapture

##@ A cluster on this machine

infra: ## real Redis, Kafka and Cassandra (SERVICES="redis-ha kafka"; tests/infra/README.md)
	tests/infra/up $(SERVICES)

infra-down: ## end them, and drop what they had
	tests/infra/down

cluster: ## two edges, sessions and routers over the real stores; the state file says who is where (tests/cluster/README.md)
	$(CARGO) build --locked --release --package throng
	tests/cluster/up --throng $(TARGET)/release/throng $(ARGS)

cluster-down: ## end it
	tests/cluster/down

test-cluster: ## the scenario plays over real stores, on two processes of each role (PLAYS="offline::")
	$(CARGO) build --locked --package throng
	tests/cluster/with-infra $(CARGO) test --locked --package throng-tests --test plays -- $(or $(PLAYS),cluster)

chaos: ## faults, one after another, in a loaded cluster, and the ledger (ARGS="--faults 20 --minutes 12 --only kill")
	$(CARGO) build --locked --release --package throng --package throng-load
	tests/cluster/chaos --throng $(TARGET)/release/throng --out target/chaos/chaos $(ARGS)

roll: ## three rolling restarts of a loaded cluster, whose people come back at once: how much longer messages take meanwhile
	$(CARGO) build --locked --release --package throng --package throng-load
	tests/cluster/chaos --throng $(TARGET)/release/throng --out target/roll/roll --only roll --faults 3 --minutes 6 --rate 200 --absence 0.05 $(ARGS)

reconnect: ## 5,000 people lose their connections to a cluster at once: who is back when, the budget of logins, memory (ARGS="--users 500")
	$(CARGO) build --locked --release --package throng --package throng-load
	tests/cluster/reconnect --throng $(TARGET)/release/throng --out target/reconnect/reconnect $(ARGS)

STORES = tests/cluster/with-infra bash -c '. "$$THRONG_INFRA" && exec env THRONG_CQL="$$CQL" "$$@"' -

test-scylla: ## the store's contract, fences, faults and migrations over a real Cassandra
	$(STORES) $(CARGO) test --locked --package store --test scylla

archive-model: ## ARCHIVE_ROWS=1000000 messages in ARCHIVES=10000 archives, read and written by WRITERS=64, beside a plain model
	$(STORES) $(CARGO) test --locked --release --package store --test scylla -- --ignored --nocapture archives_are

test-kube: ## discovery in Kubernetes, against a real API server (tests/kube/README.md)
	tests/kube/with-api $(CARGO) test --locked --package discovery-kube --test cluster -- --ignored

##@ To keep house

install-tools: $(TOOLS)/bin/cargo-deny-$(CARGO_DENY) $(TOOLS)/bin/cargo-fuzz-$(CARGO_FUZZ) ## what check and fuzz need, into TOOLS=~/.cache/throng/tools

$(TOOLS)/bin/cargo-%: # cargo-NAME-VERSION marks what stands there
	name=$$(sed -E 's/-[0-9.]+$$//' <<< $(notdir $@)); version=$$(sed -E 's/.*-//' <<< $(notdir $@)); \
	$(CARGO) install --locked --force --root $(TOOLS) --no-default-features $$name@$$version
	@touch $@

clean: ## drop what was built, the server's data and the page
	$(CARGO) clean
	rm -rf target web/node_modules tests/clients/page/node_modules

.PHONY: help run web check lint fmt-check clippy deny docs-check docs test cover clients fuzz kills soak simulate bench load bench-chat bench-idle bench-login bench-peers bench-tsung faults infra infra-down cluster cluster-down test-cluster test-kube test-scylla archive-model chaos roll reconnect install-tools clean
