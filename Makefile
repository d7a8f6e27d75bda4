# Everything a developer types. `make demo` and `make test` each work on a
# clean clone of a fresh Debian 12 with Go 1.26: they install what they need.

GOLANGCI := v2.15.0
TOOLS    := $(CURDIR)/.cache/bin
SOURCES   = $(shell git ls-files '*.go' '*.c' '*.h' '*.json' '*.yaml' go.mod go.sum 2>/dev/null)

.PHONY: bench-mix setup build demo test lint bench load fuzz clean

setup:
	scripts/setup.sh build

build: setup bin/tapedeck bin/tapedeck-worker

bin/tapedeck: $(SOURCES)
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $@ ./cmd/tapedeck

bin/tapedeck-worker: $(SOURCES)
	CGO_ENABLED=1 go build -trimpath -o $@ ./cmd/tapedeck-worker

# The main job on real input: four participants, two recordings, every file checked.
demo:
	scripts/setup.sh demo
	$(MAKE) --no-print-directory bin/tapedeck bin/tapedeck-worker
	bin/tapedeck demo --out ./recordings

# Unit, conformance and end-to-end tests against real parts, one package at a
# time: recordings run in real time.
test:
	scripts/setup.sh test
	$(MAKE) --no-print-directory bin/tapedeck bin/tapedeck-worker
	npm ci --prefix test/web --no-audit --no-fund --loglevel=error
	CGO_ENABLED=1 go build ./...
	scripts/test.sh ./...

lint: setup $(TOOLS)/golangci-lint-$(GOLANGCI)
	$(TOOLS)/golangci-lint-$(GOLANGCI) run ./...

$(TOOLS)/golangci-lint-$(GOLANGCI):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv $(TOOLS)/golangci-lint $@

bench: setup
	go test -run '^$$' -bench . -benchtime 2s ./internal/api/... ./internal/media/... ./internal/recorder/...

# What a mix costs beside its parts alone, ffmpeg and, if installed, GStreamer.
bench-mix:
	scripts/setup.sh demo
	TAPEDECK_BENCH_MIX=1 go test -run '^$$' -bench MixTable -benchtime 1x -timeout 60m ./internal/recorder

# 5,000 clients for a minute, against the built service.
load: build
	TAPEDECK_TEST_LONG=1 go test -count=1 -v -run TestLoadOf5000Clients ./test/e2e

# Ten seconds for each fuzz target; FUZZTIME=10m for a long run.
FUZZTIME ?= 10s
fuzz: setup
	scripts/fuzz.sh $(FUZZTIME)

clean:
	rm -rf bin .cache
