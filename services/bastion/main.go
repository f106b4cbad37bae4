// Command bastion carries people's SSH sessions to devices.
package main

import (
	"portcullis.dev/services/bastion/bastion"
	"portcullis.dev/services/internal/run"
)

func main() { run.Main(bastion.Entry()) }
