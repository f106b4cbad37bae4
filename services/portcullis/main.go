// Command portcullis is the command line, and with serve all services in one process.
package main

import (
	"os"

	"portcullis.dev/services/portcullis/cli"
)

func main() { os.Exit(cli.Main()) }
