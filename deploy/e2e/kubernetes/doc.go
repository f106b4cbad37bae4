// Package kubernetes installs the chart on a node of real Kubernetes that the test makes itself, without Docker and
// without a registry. `make test-kubernetes` runs it, as root on Linux.
package kubernetes
