package inventory

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// FuzzADeviceThatIsTakenStaysAsItIs takes any host and host key for a device's.
func FuzzADeviceThatIsTakenStaysAsItIs(f *testing.F) {
	f.Add("db.example.com", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f", uint32(22))
	f.Add("[::1]:22", "ssh-ed25519 AAAA comment\nssh-rsa AAAA", uint32(0))
	f.Add("-oProxyCommand=x", "command=\"x\" ssh-rsa AAAA", uint32(70000))
	f.Fuzz(func(t *testing.T, host, key string, port uint32) {
		d := &gatev1.Device{Name: "db-1", Host: host, HostKey: key, Port: port}
		if CheckDevice(d) != nil {
			return
		}
		if strings.ContainsAny(d.GetHost()+d.GetHostKey(), "\r\n\x00") || strings.HasPrefix(d.GetHost(), "-") {
			t.Fatalf("taken: %v", d)
		}
		again := proto.CloneOf(d)
		if err := CheckDevice(again); err != nil || !proto.Equal(d, again) {
			t.Fatalf("%v became %v, %v", d, again, err)
		}
	})
}

// FuzzAPrivateKeyIsOneOrRefusedWithoutItsWords takes any text for a device's private key.
func FuzzAPrivateKeyIsOneOrRefusedWithoutItsWords(f *testing.F) {
	f.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
	f.Add("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := CheckCredential(&gatev1.SetCredentialRequest{Username: "root", PrivateKey: text})
		if err != nil && len(text) > 32 && strings.Contains(err.Error(), text) {
			t.Fatal("the refusal holds the key")
		}
	})
}
