// Command identity knows who people and programs are.
package main

import (
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/run"
)

func main() { run.Main(identity.Entry()) }
