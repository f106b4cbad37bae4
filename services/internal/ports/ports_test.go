package ports_test

import (
	"net"
	"testing"

	"portcullis.dev/services/internal/ports"
)

func TestAddressesAreFreeAndNoTwoAreTheSame(t *testing.T) {
	all, err := ports.Free(50)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range all {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if len(all) != 50 {
		t.Errorf("%d of 50", len(all))
	}
}
