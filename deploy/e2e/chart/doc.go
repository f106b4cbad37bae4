// Package chart holds the Helm chart against Kubernetes's own types, and against the services that it runs: make test-chart. Its tests
// have the tag chart, for what they import takes minutes to build.
package chart
