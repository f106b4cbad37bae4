// Command notifier runs the notifier in a process of its own.
package main

import (
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/notifier/notifier"
)

func main() { run.Main(notifier.Entry()) }
