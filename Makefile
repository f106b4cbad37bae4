# Portcullis. `make` lists what there is.
PROGRAMS := emergency-control identity access-gate session-broker bastion notifier gateway portcullis
BUF      := build/node/node_modules/.bin/buf
# Tests that the race detector does not make slow.
RACE     := -e /pkg/ -e /services/internal/
# Tests wait more than they compute: one package more at a time than there are processors fills them. Some hold answers against a second.
SIDE     := -p $$(($$(getconf _NPROCESSORS_ONLN) + 1))
# command:package of what a node of Kubernetes takes besides.
NODE     := etcd:etcd-server runc:runc iptables:iptables /usr/lib/cni/ptp:containernetworking-plugins ip:iproute2 \
            sshd:openssh-server ssh:openssh-client redis-server:redis-server mount:mount unshare:util-linux
OPENAPI  := services/gateway/gateway/openapi.json
WEB      := services/gateway/web

.DEFAULT_GOAL := help
.PHONY: help run test test-chart test-kubernetes build bench chaos generate console lint vulnerabilities release reproduce images clean $(PROGRAMS)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

run: portcullis ## everything in one process, with a demo to end; data in ./data
	bin/portcullis serve --demo

# One set of flags for all that is built, for another one builds every dependency again: without cgo, as what we release. Only the
# race detector asks for more. Vet goes first and over everything, so go test has none to do.
# What a person waits for is timed with nothing beside it; then the longest go first. From outside nothing is cached: go does not see
# what those tests build and start.
generate test test-chart: export CGO_ENABLED = 0
test: ## every test; on Debian as root, installs what is lacking
	deploy/ci/prepare.sh
	go vet ./... ./deploy/e2e/...
	CGO_ENABLED=1 go test -vet=off $(SIDE) -race $$(go list ./... | grep $(RACE))
	go test -vet=off $(SIDE) $$(go list ./... | grep -v $(RACE))
	cd deploy/e2e && go test -vet=off -count=1 -run WaitsFor ./browser && go test -vet=off -count=1 -timeout 20m -skip WaitsFor ./scenario ./browser ./...
	@echo '*** LEFT OUT: what the chart configures, run whole (make test-chart), and on a real node of Kubernetes (make test-kubernetes), which takes minutes to build'

# All that the chart configures is a cluster of every service, NATS and Redis. make test has what Helm makes of the chart, without running it.
test-chart: ## what the Helm chart configures, run for real; as root on Linux
	cd deploy/e2e && go vet -tags chart ./chart && go test -tags chart -count=1 ./chart

# A cluster is several servers, which have to be built: not a part of make test.
test-kubernetes: ## the chart on a real node of Kubernetes, as root; the first time builds Kubernetes, for some minutes
	deploy/ci/prepare.sh $(NODE)
	programs=$$(deploy/e2e/kubernetes/build.sh) && cd deploy/e2e && go vet -tags kubernetes ./kubernetes && \
		PATH="$$programs$$PATH:/usr/sbin:/sbin" go test -tags kubernetes -count=1 -timeout 60m -v ./kubernetes
	go vet -tags kubernetes ./services/bastion/kubernetes && go test -tags kubernetes -count=1 -v -run RealAPIServer ./services/bastion/kubernetes

build: $(PROGRAMS) ## bin/<service> for every service

# Go decides what has to be built again.
$(PROGRAMS):
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/$@ ./services/$@

bench: ## every speed beside its limit, measured in the same run; JSON lines in build/bench.jsonl
	@mkdir -p build
	cd deploy/e2e && go run ./bench -out ../../build/bench.jsonl

chaos: ## breaks a cluster at random for three minutes a seed, and compares: make chaos SEED=1 SEEDS=10; BAD=clock or unsynced has to be noticed
	cd deploy/e2e && go run ./chaos -seed $(or $(SEED),1) -seeds $(or $(SEEDS),1) -bad "$(BAD)"

generate: $(BUF) build/third_party ## Go and OpenAPI from proto/
	rm -rf build/gen build/openapi
	$(BUF) lint
	$(BUF) generate
	find proto -name '*.pb.go' -o -name '*.pb.gw.go' | sed s,^proto/,, | while read f; do test -e build/gen/$$f || rm proto/$$f; done
	cp -r build/gen/. proto/
	mkdir -p $(dir $(OPENAPI))
	go run ./proto/internal/openapi build/openapi $(OPENAPI)

$(BUF):
	npm install --prefix build/node --no-audit --no-fund --loglevel=error @bufbuild/buf@1.75.0

build/third_party: go.mod proto/internal/thirdparty/main.go
	rm -rf $@
	go run ./proto/internal/thirdparty $@
	touch $@

# Node 20 or later. What it writes is committed: nobody needs Node to build or run.
console: $(WEB)/node_modules/.package-lock.json ## services/gateway/console/dist from services/gateway/web
	cd $(WEB) && npm run -s types && npm run -s build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --loglevel=error

lint: ## golangci-lint, gosec among it; the first time builds it, for some minutes
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run --timeout 60m ./...

vulnerabilities: ## known ones in what is called; takes a network, or VULNDB=file:///folder
	deploy/release/vulnerabilities.sh

release: ## build/release: binaries, SBOMs, checksums; signed with KEY=file (docs/release.md)
	deploy/release/build.sh build/release
	$(if $(KEY),deploy/release/sign.sh build/release $(KEY))

reproduce: ## builds a release twice, in two folders, and compares
	deploy/release/reproduce.sh

images: ## an image of each service by ko, built twice and compared; the first time builds ko, for some minutes
	deploy/docker/twice.sh

clean: ## removes bin/ and build/, never data/
	rm -rf bin build
