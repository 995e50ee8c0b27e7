# Everything that is done with the sources, by name. `make test` is what a change must pass.

PACKAGES := libfuse3-dev fuse3 libsqlite3-dev sqlite3 pkg-config iproute2 rsync git python3
BINARY := .build/debug/grapevine
ROOMS := $(filter %Tests,$(notdir $(wildcard Tests/*)))
SCENARIOS := $(wildcard Config/scenarios/*.toml)

.PHONY: help deps build release test lint demo lab bench soak-kills

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '##' Makefile

deps: ## Install the Debian packages that are missing
	@missing=""; for name in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$name"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "installing$$missing"; \
	  as=""; [ "$$(id -u)" = 0 ] || as="sudo -E"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  $$as apt-get -qq update && $$as apt-get -qq -y --no-install-recommends install $$missing >/dev/null; \
	fi

build: deps ## Build the binary for trying and testing
	swift build --product grapevine

release: deps ## Build the binary for use
	swift build -c release --product grapevine

test: deps lint ## Build and run every test, a room at a time: those that wait for real mounts hold up no others
	swift build --build-tests
	@for room in $(ROOMS); do \
	  echo "== $$room"; swift test --skip-build --filter "^$$room\\." || exit 1; \
	done

lint: ## Check the form of the sources
	swift format lint --strict --recursive Sources Tests Package.swift Benchmarks/Sources Benchmarks/Package.swift

demo: build ## Three nodes on this machine: a partition, writes on both sides, a heal
	$(BINARY) demo

lab: build ## Run every scenario of Config/scenarios on real nodes
	@failed=0; for scenario in $(SCENARIOS); do $(BINARY) lab run $$scenario || failed=1; done; exit $$failed

bench: release ## Measure against the file system beneath
	swift run -c release --package-path Benchmarks Bench $(CURDIR)/.build/release/grapevine

soak-kills: deps ## Kill a node under load two hundred times
	GRAPEVINE_KILLS=200 swift test --filter ClusterTests.KillTests
