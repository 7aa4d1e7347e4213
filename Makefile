# Everything one does to Ronde. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# SQLite and H3 are C libraries. Said aloud, a missing compiler is an error instead of a build without them.
export CGO_ENABLED := 1

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 20s

lint := go tool -modfile=.ci/tools/go.mod golangci-lint

# Packages with a function of this kind in their tests: $(call having,Benchmark)
having = $(shell grep -rlE '^func $(1)[A-Z]' --include='*_test.go' --exclude-dir=node_modules . | xargs -r dirname | sort -u)

.PHONY: help run build pages test check lint bench fuzz chaos deps

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: build ## build everything and start the demo
	bin/ronde demo

build: pages ## build bin/ronde, with the pages inside
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ronde ./cmd/ronde

# The pages are built when a source of theirs is newer. Where they cannot be, Go builds and tests without them.
pages: web/dist/live.html ## build the pages into web/dist
web/dist/live.html: $(shell find web/ui tracker/testdata/frames -type f -not -path '*/node_modules/*')
	cd web/ui && npm ci --no-audit --no-fund && npm run build

test: deps pages ## bring what the tests need, then run them all under the race detector
	cd web/ui && npm test
	go test -race -timeout 15m ./...

check: lint test ## lint, then test: what must hold before a change lands

lint: ## formatting, vet, linters, go.mod
	@out=$$(gofmt -l $$(find . -name '*.go' -not -path '*/node_modules/*')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	go vet ./...
	$(lint) run
	go mod tidy -diff

bench: ## run the benchmarks
	@for package in $(call having,Benchmark); do go test -run '^$$' -bench . -benchmem -timeout 30m $$package; done

fuzz: ## fuzz every parser for FUZZTIME (20s) each
	@for package in $(call having,Fuzz); do \
	  list=$$(go test -list '^Fuzz' $$package) || { echo "$$list"; exit 1; }; \
	  for target in $$(grep '^Fuzz' <<<"$$list"); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

chaos: deps ## the long forms of the tests: more races, more kills
	RONDE_CHAOS=1 go test -race -count=1 -timeout 60m ./...

deps: # what the tests need and a fresh Debian lacks
	@.ci/deps
