# `make` lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help build demo test test-long capabilities scenario-table fault-table lint bench clean

# The version comes from git alone, so Go need not look (and fail, where git
# distrusts the checkout's owner).
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The releases that the tests run; other tests build what they need themselves.
RELEASES := v3.7.3 v3.5.4 v3.5.5 v3.6.14 v3.7.0
TESTFLAGS ?= -timeout 30m

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## bin/etcdlab, static
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/etcdlab ./cmd/etcdlab

demo: ## a lab loses power under load; PROVIDER=docker or vm for another kind of lab
	hack/deps.sh $(if $(filter vm,$(PROVIDER)),vm,demo)
	$(MAKE) --no-print-directory build
	bin/etcdlab run power-loss $(if $(PROVIDER),--provider $(PROVIDER)) $(DEMOFLAGS)

test: ## every test; those that need root, FUSE, Docker or KVM skip without it
	hack/deps.sh test
	$(MAKE) --no-print-directory build
	for v in $(RELEASES); do bin/etcdlab images build $$v || exit; done
	go build -buildvcs=false -o bin/gotest ./hack/gotest
	bin/gotest $(TESTFLAGS) ./...

test-long: TESTFLAGS := -tags long -timeout 6h
test-long: test ## and the long ones: every built-in scenario, every known bug
	$(MAKE) --no-print-directory scenario-table

scenario-table: build ## docs/scenarioresults.md: every built-in scenario, run
	go run ./hack/scenariotable > docs/scenarioresults.md.new; \
	code=$$?; mv docs/scenarioresults.md.new docs/scenarioresults.md; exit $$code

FAULT_PROVIDERS ?= process docker vm
fault-table: build ## docs/faulttable.md: every fault, on each provider
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && runs= && \
	for p in $(FAULT_PROVIDERS); do \
		bin/etcdlab run every-fault --provider $$p --run-dir $$dir/$$p --seed 1 || [ -e "$$dir/$$p" ] || continue; \
		runs="$$runs $$p=$$(ls -d $$dir/$$p/*)"; \
	done && \
	go run ./hack/faulttable $$runs > docs/faulttable.md.new && mv docs/faulttable.md.new docs/faulttable.md

capabilities: ## docs/capabilities.md, from what the conformance suites find
	hack/deps.sh test
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	ETCDLAB_CAPABILITIES=$$dir go test -count 1 -p 1 -timeout 1h -run 'Conformance|DiskSuite' ./disk/... ./lab/... && \
	go run ./hack/captable $$dir > docs/capabilities.md.new && mv docs/capabilities.md.new docs/capabilities.md

lint: ## gofmt, vet, staticcheck, a tidy go.mod, a build for macOS
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	GOOS=darwin GOARCH=arm64 go build -o /dev/null ./...
	go mod tidy -diff

bench: build ## every figure of docs/benchmarks.md
	bin/etcdlab bench
	bin/etcdlab bench --only up --provider process,docker,vm
	bench=$$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -r dirname | sort -u); \
	[ -z "$$bench" ] || go test -run '^$$' -bench . -p 1 -timeout 2h $$bench

clean: ## what make made in this directory
	rm -rf bin
