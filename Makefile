# All but verify needs no more than Go, make and the usual POSIX tools.

# The function's architecture, by Go's name or by Lambda's.
ARCH ?= arm64
override ARCH := $(patsubst x86_64,amd64,$(ARCH))
$(if $(filter arm64 amd64,$(ARCH)),,$(error ARCH is "$(ARCH)", but Lambda has arm64 and amd64))

.DEFAULT_GOAL := help
.PHONY: help demo sandbox drill test explore mutants fuzz verify bench build build-Function zip tool clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The flags of the function, so that Go compiles each package once for all commands.
FLAGS := -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w'

# The first time, Go compiles for a minute or two: -v shows each package.
define compile
	$(if $(wildcard build/$(1)),,@echo "Compiling, which takes a minute or two the first time:")
	@CGO_ENABLED=0 go build $(if $(wildcard build/$(1)),,-v) $(FLAGS) -o build/$(1) $(2)
endef

demo: ## Rotate a token in the sandbox and show each step
	$(call compile,demo,./internal/test/cmd/demo)
	@exec build/demo $(ARGS)

sandbox: ## Keep the sandbox running, for the ordinary aws CLI; Ctrl-C ends it
	$(call compile,sandbox,./internal/test/cmd/sandbox)
	@exec build/sandbox $(ARGS)

drill: ## List the emergencies to rehearse, or play one: NAME=token-lost
	$(call compile,sandbox,./internal/test/cmd/sandbox)
	@exec build/sandbox $(if $(NAME),-drill '$(NAME)',-drills) $(ARGS)

comma := ,

# The race detector needs a C compiler.
RACE := $(shell command -v $$(go env CC) >/dev/null 2>&1 && [ "$$(go env GOHOSTARCH)" = "$$(go env GOARCH)" ] && echo -race)

# The simulation's runs have no goroutines of their own to race, and are many.
SIMULATION := ./internal/test/simulation

# -p 6, and the simulation at the same time, because the end-to-end tests mostly wait. -count=1, because they build
# the function, which the cache does not see.
test: ## Run all tests
	@echo "Race detector: $(if $(RACE),on$(comma) except for $(SIMULATION),OFF: no C compiler). The first time, Go compiles for some minutes:"
	@go build -v ./... && go vet ./... $(if $(RACE),&& CGO_ENABLED=1 go build -v $(RACE) ./...)
	(cd $(SIMULATION) && nice go test) & \
	packages=$$(go list ./... | grep -v /simulation$$) && $(if $(RACE),CGO_ENABLED=1 )go test -count=1 -p 6 $(RACE) $$packages; \
	status=$$?; wait $$! && exit $$status

explore: ## Try every pair of faults, and walk at random for WALK (1m), from SEED if given
	cd $(SIMULATION) && go test -run TestRandomWalk -walk=$(or $(WALK),1m) -seed=$(or $(SEED),0) -timeout=0
	cd $(SIMULATION) && go test -run TestEveryFaultAndEveryPairOfFaults -pairs -timeout=0

mutants: ## Change each decision of the core, one at a time, and see which tests notice
	@go build -o build/mutants ./internal/test/mutants && exec build/mutants $(ARGS)

fuzz: ## Fuzz each target for FUZZ (30s)
	@targets=$$(grep -rno --include=*_test.go 'func Fuzz[A-Za-z]*' . | sed 's/:[0-9]*:func /:/'); \
	[ -n "$$targets" ] || { echo "no fuzz target found"; exit 1; }; \
	for target in $$targets; do \
		echo "$${target##*:}"; \
		go test -run '^$$' -fuzz "^$${target##*:}$$" -fuzztime $(or $(FUZZ),30s) ./$$(dirname $${target%%:*}) || exit 1; \
	done

verify: ## Check against other people's software: SAM, Terraform, moto, the aws CLI
	@.ci/verify/run

# The Python baseline needs boto3, which make verify installs.
bench: export BENCH_PYTHON ?= $(or $(wildcard .tools/emulator/bin/python),python3)
bench: ## Compare the function with baselines; fail if a target is missed
	@go build -o build/bench ./internal/test/bench && exec build/bench $(ARGS)

BUILT = build
build: ## Build build/bootstrap for ARCH (arm64 or amd64)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build $(FLAGS) -o '$(BUILT)/bootstrap' ./function

# sam build runs this by way of deploy/sam, which sets ARCH.
build-Function: BUILT = $(ARTIFACTS_DIR)
build-Function: build

zip: build ## Build the zip for ARCH that Lambda takes, the same bytes each time
	go run github.com/aws/aws-lambda-go/cmd/build-lambda-zip -o build/panther-token-rotation-$(ARCH).zip build/bootstrap

tool: ## Build build/panther-token, the operator's tool, for this machine
	$(call compile,panther-token,./deploy/panther-token)

clean: ## Remove what was built; with ALL=1, also the tools of make verify
	rm -rf build .aws-sam $(if $(ALL),.tools)
