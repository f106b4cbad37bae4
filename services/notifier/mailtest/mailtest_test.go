package mailtest

import "testing"

func TestRealServersStartAndTakeMail(t *testing.T) {
	s := Start(t)
	s.Deliver(t, "x@example.com", Alice, []byte("Subject: hello\r\n\r\nworld\r\n"))
}
