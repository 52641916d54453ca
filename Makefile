# Everything here needs Go and make, and nothing else.

ARCH ?= arm64

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test explore fuzz build clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Rotate a token in the sandbox and show each step
	@go run ./internal/sandbox/cmd/demo $(ARGS)

sandbox: ## Keep the sandbox running, for the ordinary aws CLI; Ctrl-C ends it
	@go run ./internal/sandbox/cmd/sandbox $(ARGS)

# The race detector needs a C compiler.
RACE := $(shell command -v $$(go env CC) >/dev/null 2>&1 && [ "$$(go env GOHOSTARCH)" = "$$(go env GOARCH)" ] && echo -race)

test: ## Run all tests
	@$(if $(RACE),echo "race detector: on",echo "race detector: OFF, because there is no C compiler")
	$(if $(RACE),CGO_ENABLED=1 )go test $(RACE) ./...

build: ## Build build/bootstrap for ARCH (arm64 or amd64)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w' -o build/bootstrap ./function

clean: ## Remove what was built
	rm -rf build
