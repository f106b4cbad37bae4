// Command emergency-control applies and lifts emergencies.
package main

import (
	"portcullis.dev/services/emergency-control/control"
	"portcullis.dev/services/internal/run"
)

func main() { run.Main(control.Entry()) }
