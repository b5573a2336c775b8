# make without a target explains the targets.
.DEFAULT_GOAL := help

# Tools have their own Go module, tools/go.mod, which pins their versions.
TOOL := go tool -modfile=tools/go.mod

# Executions, not a time: up to Go 1.26 a target now and then fails with "context
# deadline exceeded" when its time is over (go.dev/issue/75804).
FUZZTIME ?= 3000x

# The race detector checks everything except SQLite, which is C translated to Go. We
# cannot fix SQLite, and checking it makes the tests five times as slow.
RACE := -race $(foreach p,modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory,-gcflags=$(p)=-race=false)

# Tests mostly wait: for another process, a lease, a browser. So more packages run at a time than
# there are processors.
PARALLEL := -p $(shell echo $$(( 2 * $$(getconf _NPROCESSORS_ONLN) )))

.PHONY: help
help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/b24rules
	go build -trimpath -o bin/b24rules ./cmd/b24rules

.PHONY: demo
demo: build ## show both included rule sets on an emulated portal
	bin/b24rules demo

.PHONY: test
test: ## run all tests
	go test $(PARALLEL) -timeout 20m ./...

.PHONY: race
race: ## run all tests under the race detector
	go test $(PARALLEL) $(RACE) -timeout 20m ./...

# Packages that use no sync, in their code or tests, have nothing that could race. The tests of
# the root read files.
.PHONY: race-short
race-short: ## run the tests of packages that use sync under the race detector without the longest ones, which is what CI does
	go test $(PARALLEL) $(RACE) -short -timeout 20m $$(go list -f '{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./... | \
		grep -E ' sync(/atomic)?( |$$)' | cut -d' ' -f1 | grep /b24rules/.*/)

.PHONY: histories
histories: ## check 50 histories of killed, frozen and cut off processes on each database, about 200 kills each
	QUEUE_HISTORIES=50 go test ./internal/queue -run '^TestHistor' -count=1 -timeout 60m -v

.PHONY: absences
absences: ## kill serve ROUNDS times on SQLite and ROUNDS/2 times on PostgreSQL, with absences of up to 59 seconds
	ABSENCE_ROUNDS=$(ROUNDS) ABSENCE_ROUNDS_POSTGRES=$$(( ($(ROUNDS) + 1) / 2 )) ABSENCE_MS=59000 go test ./internal/app/service -run '^TestKillDowntimes$$' -count=1 -timeout 4h -v

.PHONY: kills
ROUNDS ?= 200
kills: ## kill serve ROUNDS times on each database, once with events and once with hooks, robots, numbers and ticks; then kill, freeze and replace one of three processes ROUNDS/4 times; ROUNDS histories of rules that remember, and of ticks; ROUNDS/2 kills while people change the rules; 10 ROUNDS edits while events arrive
	KILL_ROUNDS=$(ROUNDS) KILL_ROUNDS_POSTGRES=$(ROUNDS) go test ./internal/app/service -run '^TestKill(Sources|Upgrade)?$$' -count=1 -timeout 4h -v
	B24_MODEL_ROUNDS=$(ROUNDS) go test ./internal/app/service -run '^(TestChangeModel|TestTicksOverSummerTime)$$' -count=1 -timeout 4h -v
	CLUSTER_ROUNDS=$$(( ($(ROUNDS) + 3) / 4 )) go test ./internal/app/cli -run '^TestCluster$$' -count=1 -timeout 4h -v
	CHANGE_ROUNDS=$$(( ($(ROUNDS) + 1) / 2 )) go test ./internal/app/cli -run '^TestKillChanges$$' -count=1 -timeout 4h -v
	EDIT_ROUNDS=$$(( 10 * $(ROUNDS) )) go test ./internal/app/service -run '^TestRandomEdits$$' -count=1 -timeout 4h -v

.PHONY: example
example: ## test actions/example_module, a program with an added action
	cd actions/example_module && go mod tidy -diff && go vet ./... && go test ./... && go run . test --cover-min 100 rules

.PHONY: check
check: fmt-check vet staticcheck test example cover race-short gen-check fuzz-smoke validate-rules test-rules fmt-rules-check ## what CI runs before it builds packages

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

.PHONY: fmt-check
fmt-check: ## fail when the code is not formatted
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## run go vet
	go vet ./...
	cd internal/bench/formulas && go vet .

.PHONY: staticcheck
staticcheck: ## run staticcheck
	$(TOOL) staticcheck ./...

.PHONY: gen
gen: notices ## write the generated files: schemas/*.json, docs/actions.md, docs/catalogue.md, docs/cheatsheet.md, docs/configuration.md, docs/failures.md, docs/fields.md, llms.txt, docs/slips.md, THIRD_PARTY_NOTICES.md
	go test ./docs -run '^(TestGenerated|TestSlips)$$' -count=1 -update
	go test ./internal/app/config -run '^TestConfigManual$$' -count=1 -update
	go test ./internal/app/cli -run '^TestGeneratedSchemas$$' -count=1 -update-schemas

.PHONY: gen-check
gen-check: notices-check ## fail when a generated file is not current
	go test ./docs -run '^(TestGenerated|TestSlips)$$' -count=1
	go test ./internal/app/config -run '^TestConfigManual$$' -count=1
	go test ./internal/app/cli -run '^TestGeneratedSchemas$$' -count=1

.PHONY: notices-check
notices-check: ## fail when THIRD_PARTY_NOTICES.md is not current
	@go run ./internal/notices | diff THIRD_PARTY_NOTICES.md - > /dev/null || { echo "THIRD_PARTY_NOTICES.md is not current: run make notices"; exit 1; }

.PHONY: notices
notices: ## write THIRD_PARTY_NOTICES.md, the licences of all linked modules
	go run ./internal/notices > THIRD_PARTY_NOTICES.md

.PHONY: golden
golden: ## rewrite the golden files of tests
	go test ./internal/ruletest -run '^(TestGolden|TestChecksCanFail)$$' -count=1 -update
	go test ./internal/ruletest/export -run '^TestFromRun$$' -count=1 -update
	go test ./internal/rulefmt -run '^TestLayout$$' -count=1 -update
	go test ./actions -run '^TestActions$$' -count=1 -update
	go test ./engine/describe -run '^(TestSet|TestManual)$$' -count=1 -update
	go test ./internal/app/cli -run '^TestGolden' -count=1 -update-findings
	UPDATE_SCRIPTS=1 go test ./internal/app/cli -run '^(TestScripts|TestRuns|TestPlan)' -count=1

.PHONY: fuzz-smoke
fuzz-smoke: ## fuzz every target for FUZZTIME (3000x)
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "fuzz $$(dirname $$file) $$target"; \
			go test $$(dirname $$file) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x; \
		done; \
	done

.PHONY: fuzz
fuzz: ## fuzz every target for a minute
	$(MAKE) fuzz-smoke FUZZTIME=1m

.PHONY: validate-rules
validate-rules: build ## validate the shipped rule sets
	bin/b24rules validate --strict rules rules/catalogue

.PHONY: fmt-rules-check
fmt-rules-check: build ## fail when a shipped rule set is not formatted
	bin/b24rules fmt --check --diff rules rules/catalogue

.PHONY: monitoring-check
monitoring-check: ## test the alert rules for Prometheus; it needs promtool
	promtool check rules docs/monitoring/alerts.yaml
	promtool test rules docs/monitoring/alerts_test.yaml

.PHONY: test-rules
test-rules: build ## run the tests of the shipped rule sets; they must reach all of them
	bin/b24rules test --cover-min 100 rules

.PHONY: cover
cover: ## fail when the engine's or the test portal's own tests reach too little of it
	{ go test $(PARALLEL) -cover ./engine/... ./internal/ruletest/... && go test -cover -coverpkg=./emulator/... ./emulator; } | go run ./internal/covercheck

.PHONY: bench
bench: ## measure against the emulator with a portal's limits and write docs/performance.md
	go run ./internal/bench

.PHONY: bench-burst
bench-burst: ## measure a burst of events, compare it with one commit per event, and write docs/performance.md
	go run ./internal/bench -burst

.PHONY: bench-ticks
bench-ticks: ## measure what people lose who write into a list while the engine updates it, and write docs/performance.md
	go run ./internal/bench -ticks

.PHONY: bench-pages
bench-pages: ## measure the pages of the console over 1,000,000 runs of 500 portals, and write docs/performance.md
	go run ./internal/bench -pages

.PHONY: bench-formulas
bench-formulas: ## compare formulas with plain floats and cel-go
	cd internal/bench/formulas && go test -run '^TestContests$$' -count=1 . && go test -run '^$$' -bench . -benchtime 500ms .
	go test ./internal/app/cli -run '^$$' -bench Validate1000 -benchtime 5x

# TARGETS="linux/amd64 windows/arm64" builds some systems only.
.PHONY: release
release: ## build archives for all systems, deb and rpm packages and their checksums into dist/
	packaging/release.sh $(VERSION)

.PHONY: package-check
package-check: ## build the deb package and try what is in it
	packaging/check.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
