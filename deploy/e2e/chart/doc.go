// Package chart holds the Helm chart against Kubernetes's own types, and against the services that it runs. What it makes of values, Helm
// itself says. What runs all that the chart configures has the tag chart: make test-chart.
package chart
