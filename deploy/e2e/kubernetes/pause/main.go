// Pause holds a Pod's namespaces for as long as the Pod lives. "echo" is for whoever runs a command there: it says what it
// hears.
package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		_, _ = io.Copy(os.Stdout, os.Stdin)
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
}
