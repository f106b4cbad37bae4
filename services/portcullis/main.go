// Command portcullis is the command line, and with serve all services in one process.
package main

import (
	"os"

	"portcullis.dev/services/portcullis/backup"
	"portcullis.dev/services/portcullis/cli"
	"portcullis.dev/services/portcullis/demo"
	"portcullis.dev/services/portcullis/prepare"
	"portcullis.dev/services/portcullis/serve"
)

func main() { os.Exit(cli.Main(serve.Commands, demo.Commands, prepare.Commands, backup.Commands)) }
