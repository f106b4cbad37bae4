//go:build never

package e2e

// Keeps the module in go.mod until the benchmark imports it; this file then goes.
import _ "github.com/open-policy-agent/opa/v1/rego"
