package guard

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// The memory is what the guard knew last, behind a code that only its token makes: nobody else can write one. Whoever can put an older one
// back, and start the guard anew where it reaches no gate, makes it know less: a strict one lets nobody in by it all the same.

// remember keeps a view. A full disk opens no door: it is said, and the next change tries again.
func (g *Guard) remember(v *view) (kept bool) {
	if g.config.Memory == "" {
		return true
	}
	err := g.keep(v)
	if err != nil {
		g.config.Log.Error("what is known would not outlive this process", "file", g.config.Memory, "error", err)
	}
	return err == nil
}

func (g *Guard) keep(v *view) error {
	c := v.snapshot.Since(nil, g.config.Devices, emergency.Revision{})
	data, err := proto.Marshal(c.Proto())
	if err != nil {
		return err
	}
	code, err := g.code(data)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(g.config.Memory), ".guard-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(code, data...))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), g.config.Memory)
}

// recall begins with what was kept, if it is ours. Nobody has vouched for it: a strict guard lets nobody in by it.
func (g *Guard) recall() {
	if g.config.Memory == "" {
		return
	}
	v, err := g.kept()
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		g.config.Log.Error("what was known is left out; nobody gets in before a gate is heard", "file", g.config.Memory, "error", err)
	default:
		g.view.Store(v)
		held := v.snapshot.Revision()
		g.held.Store(&held)
		g.once.Do(func() { close(g.ready) })
	}
}

func (g *Guard) kept() (*view, error) {
	data, err := os.ReadFile(g.config.Memory)
	if err != nil {
		return nil, err
	}
	if len(data) < sha256.Size {
		return nil, errors.New("the file is cut short")
	}
	code, data := data[:sha256.Size], data[sha256.Size:]
	if right, err := g.code(data); err != nil || !hmac.Equal(code, right) {
		return nil, errors.New("the file is not of this guard's token")
	}
	update := new(gatev1.GuardUpdate)
	if err := proto.Unmarshal(data, update); err != nil {
		return nil, err
	}
	c, err := emergency.ChangeFrom(update)
	if err != nil {
		return nil, fmt.Errorf("reading the revision: %w", err)
	}
	var f folder
	v := &view{snapshot: f.apply(c, g.config.Now())}
	v.cuts = v.snapshot.Cuts()
	return v, nil
}

func (g *Guard) code(data []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(g.config.Token), nil, "portcullis guard memory "+g.config.Name, sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil), nil
}
