package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

// DoorstepFile is the socket by which whoever may write to a process's folder of holds, or to the all-in-one's data,
// holds that process's doors, and takes a backup of what the all-in-one keeps. The folder's rights are all that is asked.
const DoorstepFile = "hold.sock"

// What is asked on the doorstep.
const (
	HoldPath   = "/hold"
	BackupPath = "/backup"
	// FailedTrailer says why a backup ends early; without it, it is whole.
	FailedTrailer = "Backup-Failed"
)
const maxPlacer = 128

// doorstep takes holds on the host, for every service of this process.
type doorstep struct {
	mu       sync.Mutex
	watchers map[string]*watch.Watcher // by service: one that starts again has another
	now      func() time.Time
	// backup writes all that this process keeps; nil where that is elsewhere.
	backup func(context.Context, io.Writer) error
}

func newDoorstep() *doorstep { return &doorstep{watchers: map[string]*watch.Watcher{}, now: time.Now} }

func (d *doorstep) put(service string, w *watch.Watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers[service] = w
}

// serve listens on the socket in a folder until the context ends.
func (d *doorstep) serve(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making the folder of holds: %w", err)
	}
	path := filepath.Join(folder, DoorstepFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return fmt.Errorf("clearing the socket for holds: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listening for holds on this host: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving holds on this host: %w", err)
	}
	return nil
}

func (d *doorstep) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+HoldPath, d.take)
	if d.backup != nil {
		mux.HandleFunc("POST "+BackupPath, d.give)
	}
	return mux
}

// give answers a backup. It is not encrypted yet: it goes to whoever could read the folder itself.
func (d *doorstep) give(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", FailedTrailer)
	if err := d.backup(r.Context(), w); err != nil {
		w.Header().Set(FailedTrailer, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

// take is one hold: an Emergency with a duration, a justification and who places it, answered as it holds.
func (d *doorstep) take(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	asked := new(emergencyv1.Emergency)
	if err == nil {
		err = protojson.Unmarshal(text, asked)
	}
	if err == nil {
		err = d.hold(asked)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, err = protojson.Marshal(asked)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// hold completes a hold and places it.
func (d *doorstep) hold(e *emergencyv1.Emergency) error {
	lasts := e.GetDuration().AsDuration()
	switch {
	case lasts < emergency.MinHold || lasts > emergency.MaxHold:
		return fmt.Errorf("a hold lasts %s to %s", emergency.MinHold, emergency.MaxHold)
	case strings.TrimSpace(e.GetJustification()) == "":
		return errors.New("say why: a justification is required")
	case utf8.RuneCountInString(e.GetJustification()) > emergency.MaxText || utf8.RuneCountInString(e.GetGovernanceCode()) > emergency.MaxText:
		return fmt.Errorf("at most %d characters fit", emergency.MaxText)
	case utf8.RuneCountInString(e.GetCreatedBy()) > maxPlacer || strings.ContainsFunc(e.GetCreatedBy(), unicode.IsControl):
		return fmt.Errorf("say who places it in one line of at most %d characters", maxPlacer)
	}
	now := d.now()
	by := e.GetCreatedBy()
	said := &emergencyv1.Emergency{Duration: e.GetDuration(), Justification: e.GetJustification(), GovernanceCode: e.GetGovernanceCode()}
	proto.Reset(e) // nothing else may be said on the doorstep
	proto.Merge(e, said)
	e.Id, e.Kind, e.Started, e.CreatedBy = "H-"+rand.Text()[:10], emergencyv1.Emergency_LOCKDOWN, true, "host:"+by
	e.Hold, e.StartTime, e.CreateTime, e.EndTime = e.Id, timestamppb.New(now), timestamppb.New(now), timestamppb.New(now.Add(lasts))
	d.mu.Lock()
	defer d.mu.Unlock()
	var failed []error
	for service, w := range d.watchers {
		if err := w.Hold(e); err != nil {
			failed = append(failed, fmt.Errorf("%s does not hold: %w", service, err))
		}
	}
	return errors.Join(failed...)
}
