// Command access-gate holds devices and access groups, and decides who gets where.
package main

import (
	"portcullis.dev/services/access-gate/gate"
	"portcullis.dev/services/internal/run"
)

func main() { run.Main(gate.Entry()) }
