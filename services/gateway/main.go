// Gateway runs the public face in a process of its own.
package main

import (
	"portcullis.dev/services/gateway/gateway"
	"portcullis.dev/services/internal/run"
)

func main() { run.Main(gateway.Entry()) }
