// Package chart holds the Helm chart against Kubernetes's own types, and against the services that it runs. What takes Helm, which takes
// minutes to build, and what runs all that the chart configures, has the tag chart: make test-chart.
package chart
