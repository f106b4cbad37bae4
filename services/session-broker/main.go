// Session-broker is where session hosts join, and hear what must end.
package main

import (
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/session-broker/broker"
)

func main() {
	run.Main(run.Entry{Name: "session-broker", Start: broker.Start, Config: broker.Settings{}, Directory: true})
}
