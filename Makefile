# What a developer of Portmesh needs. "make help" lists the targets.

GO       ?= go
# A number of inputs: after a time, Go now and then fails for being late (go.dev/issue/75804).
FUZZTIME ?= 20000x
BENCHFLAGS ?= -json results.json

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the quickstart: three processes on this machine
	$(GO) run ./examples/quickstart

.PHONY: test
test: ## run all tests, under the race detector
	$(GO) test -race -shuffle=on ./...

.PHONY: allocs
allocs: ## check how much the hot paths allocate, without the race detector
	$(GO) test -count=1 -run Alloc ./...

.PHONY: interop
interop: ## talk to the AnyEvent::MP that perl has installed (PORTMESH_PERL names other perls, as PATH does)
	$(GO) test -race -count=1 -v -run 'Interop|ValuesPerl|StorablePerl' ./aemp ./remote ./registry/... ./internal/interop ./examples/perl ./examples/chat ./examples/supervision

.PHONY: check
check: ## check formatting, vet, and that go.mod is tidy
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) -C benchmarks mod tidy -diff
	$(GO) -C benchmarks vet ./...
	$(GO) mod verify

.PHONY: lint
lint: ## run golangci-lint, of the version in .ci/tools/go.mod
	$(GO) tool -modfile=.ci/tools/go.mod golangci-lint run ./...

.PHONY: fuzz
fuzz: ## run every fuzz target with FUZZTIME inputs
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "fuzz $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done

.PHONY: bench
bench: ## measure beside others, Erlang if there is erl, in minutes (BENCHFLAGS=-short: in seconds)
	$(GO) vet -C benchmarks ./...
	$(GO) run -C benchmarks . $(BENCHFLAGS)

.PHONY: cover
cover: ## report the coverage of the tests
	$(GO) test -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out | tail -1
