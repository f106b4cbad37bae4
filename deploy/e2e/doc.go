// Package e2e holds what runs the whole product from outside: scenarios and
// benchmarks. It is a module of its own, so that what they are compared with
// (Open Policy Agent) is never a dependency of the product.
package e2e
