package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// volume gives a NATS server a disk of its own, so many MiB in size, which Stop takes away. It takes root.
func (s *Stack) volume(server string, mib int) error {
	if mib == 0 {
		return nil
	}
	folder := filepath.Join(s.Folder, server)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("none", folder, "tmpfs", 0, "mode=700,size="+strconv.Itoa(mib)+"m"); err != nil {
		return fmt.Errorf("mounting a disk for %s: %w", server, err)
	}
	s.volumes = append(s.volumes, folder)
	return nil
}

func (s *Stack) ballast(server string) string { return filepath.Join(s.Folder, server, "ballast") }

// Fill leaves no room on the disk of a NATS server.
func (s *Stack) Fill(server string) error {
	f, err := os.OpenFile(s.ballast(server), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Empty makes room there again.
func (s *Stack) Empty(server string) error { return os.Remove(s.ballast(server)) }

// Cover puts a disk without any room over the store of an embedded NATS server: it keeps what it has open, and none starts there until
// that is taken away. The accounts and streams are there by their names, for whoever is asked how it is reads those.
func (s *Stack) Cover(store string) (uncover func() error, err error) {
	store = filepath.Join(s.Folder, store)
	names, err := filepath.Glob(filepath.Join(store, "*", "streams", "*"))
	if err != nil || len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("no streams in %s", store), err)
	}
	inodes := map[string]bool{store: true}
	for _, name := range names {
		for at := name; at != store; at = filepath.Dir(at) {
			inodes[at] = true
		}
	}
	if err := syscall.Mount("none", store, "tmpfs", 0, fmt.Sprintf("mode=700,nr_inodes=%d", len(inodes))); err != nil {
		return nil, fmt.Errorf("covering %s: %w", store, err)
	}
	s.volumes = append([]string{store}, s.volumes...) // taken away before what is below it
	for _, name := range names {
		err = errors.Join(err, os.MkdirAll(name, 0o700))
	}
	return func() error { return syscall.Unmount(store, syscall.MNT_DETACH) }, err
}

func (s *Stack) unmount() {
	for _, folder := range s.volumes {
		_ = syscall.Unmount(folder, syscall.MNT_DETACH)
	}
}

// FillStreams lets no stream take anything more, save for these: each may be as large as it is now.
func (s *Stack) FillStreams(but ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := s.bootstrap()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields("EMERGENCY IDENTITY IDENTITY_SECRET DIRECTORY CREDENTIAL NOTIFICATION OUTBOX SESSION ATTEMPT EVENT") {
		if slices.Contains(but, name) {
			continue
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("asking about %s: %w", name, err)
		}
		info := stream.CachedInfo()
		info.Config.MaxBytes, info.Config.Discard = max(1, int64(info.State.Bytes)), jetstream.DiscardNew
		if _, err := js.UpdateStream(ctx, info.Config); err != nil {
			return fmt.Errorf("filling %s: %w", name, err)
		}
	}
	return nil
}

// bootstrap connects as the one who may change streams.
func (s *Stack) bootstrap() (*nats.Conn, error) {
	certificate, err := tls.LoadX509KeyPair(s.authority.file("bootstrap.pem"), s.authority.file("bootstrap.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.authority.file("ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return nats.Connect("tls://"+s.Nats, nats.UserInfo("bootstrap", s.passwords["bootstrap"]), nats.CustomInboxPrefix("_INBOX.bootstrap"),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, RootCAs: roots}))
}
