// Guarded is a web service that a freeze or a lockdown shuts. What is live then, such as the clock below, ends with its reason.
//
//	PORTCULLIS_TOKEN=pct_… guarded -gate 127.0.0.1:9090 -device web-1 -listen 127.0.0.1:8000
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/guard"
)

func main() {
	gate := flag.String("gate", "127.0.0.1:9090", "the gate's gRPC address")
	name := flag.String("name", "guarded", "what this guard is called, the same at each start")
	device := flag.String("device", "web-1", "what this service is in the directory")
	listen := flag.String("listen", "127.0.0.1:8000", "where to serve")
	flag.Parse()
	g, err := guard.New(guard.Config{Address: *gate, Token: os.Getenv("PORTCULLIS_TOKEN"), Name: *name, Devices: []string{*device}})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(g.Run(context.Background())) }()
	who := func(r *http.Request) (guard.Caller, error) {
		user, password, _ := r.BasicAuth() // yours: a session, a verified token, a client's certificate
		if password != os.Getenv("GUARDED_PASSWORD") {
			return guard.Caller{}, fault.New(fault.Unauthenticated, "Say who you are, with the right password")
		}
		return guard.Caller{User: user, Device: *device}, nil
	}
	log.Fatal(http.ListenAndServe(*listen, guard.Middleware(g, who)(http.HandlerFunc(clock)))) // #nosec G114 -- an example
}

// clock is a page of server-sent events: the time, every second.
func clock(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		fmt.Fprintf(w, "data: %s\n\n", time.Now().Format(time.TimeOnly))
		w.(http.Flusher).Flush()
		time.Sleep(time.Second)
	}
}
