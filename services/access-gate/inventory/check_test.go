package inventory

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfTDpzK0pDyDSnSTtFfrJDUVWfgVNqxhgWGHnLGmEDa"

func FuzzValidName(f *testing.F) {
	for _, name := range []string{"a", "a.b", "a..b", ".a", "a.", "-a", "a@b", "é", "a\n", strings.Repeat("x", 129), ""} {
		f.Add(name)
	}
	pattern := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_@-]*(\.[A-Za-z0-9_@-]+)*\z`)
	f.Fuzz(func(t *testing.T, name string) {
		if want := len(name) <= 128 && pattern.MatchString(name); ValidName(name) != want {
			t.Errorf("%q: %v, want %v", name, ValidName(name), want)
		}
	})
}

func TestIdsAreLettersDigitsAndDashes(t *testing.T) {
	for id, want := range map[string]bool{"": false, "a": true, "2b1f-X": true, "a.b": false, "a/b": false, "ä": false, "\x00": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false} {
		if ValidID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func device(edit func(*gatev1.Device)) *gatev1.Device {
	d := &gatev1.Device{Name: "db", Host: "db.example"}
	edit(d)
	return d
}

// authority is the certificate of one, in PEM.
func authority(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestADeviceIsBroughtToItsOneForm(t *testing.T) {
	ca := authority(t)
	for name, c := range map[string]struct{ in, want *gatev1.Device }{
		"SSH is usual": {device(func(*gatev1.Device) {}), &gatev1.Device{Name: "db", Host: "db.example", Port: 22, Protocol: gatev1.Protocol_SSH}},
		"the usual port": {device(func(d *gatev1.Device) { d.Protocol = gatev1.Protocol_POSTGRES }),
			&gatev1.Device{Name: "db", Host: "db.example", Port: 5432, Protocol: gatev1.Protocol_POSTGRES}},
		"a host key without its comment": {device(func(d *gatev1.Device) { d.HostKey = "  " + hostKey + " root@db\n" }),
			&gatev1.Device{Name: "db", Host: "db.example", Port: 22, Protocol: gatev1.Protocol_SSH, HostKey: hostKey}},
		"authorities without spaces around them": {device(func(d *gatev1.Device) {
			d.Protocol, d.ServerCa, d.IdleLimit = gatev1.Protocol_POSTGRES, "\n "+ca+"\n\n"+ca+" ", durationpb.New(time.Minute)
		}), &gatev1.Device{Name: "db", Host: "db.example", Port: 5432, Protocol: gatev1.Protocol_POSTGRES, ServerCa: ca + ca, IdleLimit: durationpb.New(time.Minute)}},
		"the authorities of a cluster": {device(func(d *gatev1.Device) { d.Protocol, d.ServerCa = gatev1.Protocol_KUBERNETES, ca }),
			&gatev1.Device{Name: "db", Host: "db.example", Port: 6443, Protocol: gatev1.Protocol_KUBERNETES, ServerCa: ca}},
	} {
		if err := CheckDevice(c.in); err != nil || c.in.String() != c.want.String() {
			t.Errorf("%s: %v, %v", name, c.in, err)
		}
	}
}

func TestHostsAreNamesOrAddresses(t *testing.T) {
	for host, want := range map[string]bool{
		"db": true, "db.example.": true, "10.0.0.1": true, "::1": true, "fe80::1%eth0": true, "a_b.c": true,
		"": false, "a b": false, "[::1]": false, "db:22": false, "-a": false, "a;b": false, "a\nb": false, "user@db": false, strings.Repeat("a", 254): false,
	} {
		if err := CheckDevice(device(func(d *gatev1.Device) { d.Host = host })); (err == nil) != want {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestWhatADeviceCantHaveIsRefusedByItsField(t *testing.T) {
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint("label", i)] = "x"
	}
	for name, c := range map[string]struct {
		field string
		edit  func(*gatev1.Device)
	}{
		"a port too high":         {"port", func(d *gatev1.Device) { d.Port = 65536 }},
		"TCP without a port":      {"port", func(d *gatev1.Device) { d.Protocol = gatev1.Protocol_TCP }},
		"two host keys":           {"hostKey", func(d *gatev1.Device) { d.HostKey = hostKey + "\n" + hostKey }},
		"a host key that is none": {"hostKey", func(d *gatev1.Device) { d.HostKey = "ssh-ed25519 AAAA" }},
		"a label of two lines":    {"labels", func(d *gatev1.Device) { d.Labels = map[string]string{"a": "x\ny"} }},
		"a label without a name":  {"labels", func(d *gatev1.Device) { d.Labels = map[string]string{"": "x"} }},
		"too many labels":         {"labels", func(d *gatev1.Device) { d.Labels = many }},
		"an unknown protocol":     {"protocol", func(d *gatev1.Device) { d.Protocol = 42 }},
		"a name that is none":     {"name", func(d *gatev1.Device) { d.Name = "a/b" }},
		"an authority of SSH":     {"serverCa", func(d *gatev1.Device) { d.ServerCa = authority(t) }},
		"an authority with a key": {"serverCa", func(d *gatev1.Device) {
			d.Protocol, d.ServerCa = gatev1.Protocol_POSTGRES, authority(t)+"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		}},
		"words besides an authority": {"serverCa", func(d *gatev1.Device) {
			d.Protocol, d.ServerCa = gatev1.Protocol_POSTGRES, "see below\n"+authority(t)
		}},
		"a certificate that is none": {"serverCa", func(d *gatev1.Device) {
			d.Protocol, d.ServerCa = gatev1.Protocol_POSTGRES, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}},
		"a limit of SSH": {"idleLimit", func(d *gatev1.Device) { d.IdleLimit = durationpb.New(time.Minute) }},
		"a limit below zero": {"sessionLimit", func(d *gatev1.Device) {
			d.Protocol, d.SessionLimit = gatev1.Protocol_POSTGRES, durationpb.New(-time.Minute)
		}},
		"a limit of ten years": {"sessionLimit", func(d *gatev1.Device) {
			d.Protocol, d.Port, d.SessionLimit = gatev1.Protocol_TCP, 443, durationpb.New(10*longestLimit)
		}},
	} {
		err := CheckDevice(device(c.edit))
		if !fault.Is(err, fault.InvalidArgument) || fault.From(err).Details["field"] != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAGroupThatTheJournalCouldNotTakeIsRefused(t *testing.T) {
	g := &gatev1.AccessGroup{Name: "all"}
	for i := range 5000 {
		g.Devices = append(g.Devices, fmt.Sprintf("%s-%d", strings.Repeat("x", 110), i))
	}
	if err := CheckGroup(g); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
}

func TestUnknownNamesAreListedInShort(t *testing.T) {
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint("n", i))
	}
	err := Unknown("users", "user", names, func(n string) bool { return n == "n0" })
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 and 19 more") {
		t.Error(err)
	}
	if err := Unknown("users", "user", names, func(string) bool { return true }); err != nil {
		t.Error(err)
	}
}

func TestAPrivateKeyIsTakenInPEMAndNeverQuoted(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  string
		want bool
	}{"a plain one": {string(pem.EncodeToMemory(plain)), true}, "one with a passphrase": {string(pem.EncodeToMemory(locked)), false}, "none": {"s3cret", false}} {
		err := CheckCredential(&gatev1.SetCredentialRequest{Username: "root", PrivateKey: c.key})
		if (err == nil) != c.want || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
