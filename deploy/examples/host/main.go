// Host is a session host: it carries TCP connections to one device, asks before it opens one, and ends, holds and lets go as it is told.
//
//	PORTCULLIS_TOKEN=pct_… HOST_PASSWORD=… host -portcullis 127.0.0.1:9090 -name terminal-1 -device db-1 -to 10.0.0.7:7000 -listen 127.0.0.1:7000
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"portcullis.dev/pkg/connector"
)

func main() {
	portcullis := flag.String("portcullis", "127.0.0.1:9090", "Portcullis' gRPC address")
	name := flag.String("name", "terminal-1", "the connector's name, and the token's")
	device := flag.String("device", "db-1", "what this host leads to, in the directory")
	to := flag.String("to", "", "where that is")
	listen := flag.String("listen", "127.0.0.1:7000", "where to serve")
	flag.Parse()
	deps, err := connector.Dial(*portcullis, os.Getenv("PORTCULLIS_TOKEN"), nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := connector.New(connector.Config{ID: *name, Protocols: []string{"TCP"}}, deps)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(c.Run(context.Background())) }()
	l, err := net.Listen("tcp", *listen)
	for err == nil {
		var person net.Conn
		if person, err = l.Accept(); err == nil {
			go carry(c, person, *device, *to)
		}
	}
	log.Fatal(err)
}

// carry is one session, from the person's name and password, on a line, to the last byte.
func carry(c *connector.Connector, person net.Conn, device, to string) {
	defer person.Close()
	var user, password string
	sent := bufio.NewReader(person)
	if _, err := fmt.Fscanln(sent, &user, &password); err != nil || password != os.Getenv("HOST_PASSWORD") { // yours: whatever proves who is there
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	told := make(chan struct{}) // closed once the person has been sent why it was ended
	defer func() {
		if ctx.Err() != nil {
			<-told
		}
	}()
	s, err := c.Open(ctx, connector.Request{User: user, Device: device, Protocol: "TCP", Address: person.RemoteAddr().String(),
		End: func(reason string) {
			stop()
			_ = person.SetDeadline(time.Now().Add(200 * time.Millisecond)) // who reads nothing is not waited for
			fmt.Fprintln(person, reason)
			close(told)
		},
		Suspend: func(_ bool, reason string) { go fmt.Fprintln(person, reason) }})
	if err != nil {
		fmt.Fprintln(person, err)
		return
	}
	defer s.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err == nil {
		defer server.Close()
		context.AfterFunc(ctx, func() { server.Close() })
		err = s.Admit(ctx)
	}
	if err != nil {
		fmt.Fprintln(person, err)
		return
	}
	go func() {
		_, _ = io.Copy(server, s.Input(sent))
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(person, server)
}
