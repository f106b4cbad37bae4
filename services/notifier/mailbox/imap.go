package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// maxDeleted is how many mails are expunged at a time.
const maxDeleted = 100

// imapStore is the INBOX of an IMAP mailbox.
type imapStore struct {
	box    Box
	memory *Memory
	conn   net.Conn
	client *imapclient.Client
	// news has something when the server has told of mail.
	news     chan struct{}
	validity uint32
	next     uint32
	deleted  imap.UIDSet
	pending  int
}

func openIMAP(ctx context.Context, box Box, memory *Memory) (*imapStore, error) {
	conn, err := box.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &imapStore{box: box, memory: memory, conn: conn, news: make(chan struct{}, 1)}
	if err := within(ctx, conn, box.Timeouts.Command, s.enter); err != nil {
		s.hangUp()
		return nil, err
	}
	return s, nil
}

// hangUp ends the connection without taking leave.
func (s *imapStore) hangUp() {
	s.conn.Close()
	if s.client != nil {
		// It waits for its own end, and says again what ended it.
		_ = s.client.Close()
	}
}

func (s *imapStore) enter() error {
	if err := s.greet(); err != nil {
		return err
	}
	if err := s.box.mayLogIn(s.conn); err != nil {
		return err
	}
	if err := s.client.Login(s.box.Settings.GetUsername(), s.box.Password).Wait(); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	folder, err := s.client.Select("INBOX", nil).Wait()
	if err != nil {
		return fmt.Errorf("opening the inbox: %w", err)
	}
	s.validity, s.next = folder.UIDValidity, uint32(folder.UIDNext)
	return nil
}

func (s *imapStore) greet() (err error) {
	options := &imapclient.Options{
		TLSConfig: s.box.tlsConfig(),
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages == nil {
				return
			}
			select {
			case s.news <- struct{}{}:
			default:
			}
		}},
	}
	if !s.box.startTLS() {
		s.client = imapclient.New(s.conn, options)
		if err := s.client.WaitGreeting(); err != nil {
			return fmt.Errorf("the server speaks no IMAP on this port, or did not let us in; check it: %w", err)
		}
		return nil
	}
	s.client, err = imapclient.NewStartTLS(s.conn, options)
	if err != nil {
		return fmt.Errorf("securing the connection by STARTTLS: %w", err)
	}
	return nil
}

func (s *imapStore) command(ctx context.Context, do func() error) error {
	return within(ctx, s.conn, s.box.Timeouts.Command, do)
}

func (s *imapStore) list(ctx context.Context) ([]entry, error) {
	var found *imap.SearchData
	err := s.command(ctx, func() (err error) {
		found, err = s.client.UIDSearch(s.wanted(), nil).Wait()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for mail: %w", err)
	}
	return s.entries(found.AllUIDs()), nil
}

// wanted is all, where nothing stays. Else it is what nobody has read, and what came since the first look, for a
// person may have looked at that before us.
func (s *imapStore) wanted() *imap.SearchCriteria {
	if !s.box.Settings.GetKeepCopyOnServer() {
		return &imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagDeleted}}
	}
	unseen := imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}
	if s.memory.validity != s.validity {
		s.memory.keepOnly(nil)
		s.memory.validity = s.validity
		s.memory.last = max(s.next, 1) - 1
		return &unseen
	}
	var since imap.UIDSet
	since.AddRange(imap.UID(s.memory.last+1), 0)
	return &imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{unseen, {UID: []imap.UIDSet{since}}}}}
}

func (s *imapStore) entries(uids []imap.UID) []entry {
	mails := make([]entry, 0, len(uids))
	keys := make([]string, 0, len(uids))
	for _, uid := range uids {
		e := entry{number: uint32(uid), key: fmt.Sprintf("%d/%d", s.validity, uid)}
		keys = append(keys, e.key)
		if !s.box.Settings.GetKeepCopyOnServer() || !s.memory.handled[e.key] {
			mails = append(mails, e)
		}
	}
	if !s.box.Settings.GetKeepCopyOnServer() {
		s.memory.keepOnly(keys)
	}
	return mails
}

// read asks for no more of a mail than is read; a server that sends more has it thrown away.
func (s *imapStore) read(ctx context.Context, e entry, show func(io.Reader) error) error {
	return within(ctx, s.conn, s.box.Timeouts.Mail, func() error {
		fetch := s.client.Fetch(imap.UIDSetNum(imap.UID(e.number)), &imap.FetchOptions{
			UID: true,
			BodySection: []*imap.FetchItemBodySection{{
				Peek: true, Partial: &imap.SectionPartial{Size: maxMail},
			}},
		})
		shown := showAll(fetch, show)
		err := fetch.Close()
		var refused *imap.Error
		if errors.As(err, &refused) {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		if err != nil {
			return err
		}
		return shown
	})
}

// showAll shows the first text that comes: a mail has one. One that is gone meanwhile has none.
func showAll(fetch *imapclient.FetchCommand, show func(io.Reader) error) error {
	var shown error
	once := false
	for data := fetch.Next(); data != nil; data = fetch.Next() {
		for item := data.Next(); item != nil; item = data.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil {
				continue
			}
			if !once {
				shown, once = show(body.Literal), true
			}
			// The rest; if the connection breaks in it, the fetch says so.
			_, _ = io.Copy(io.Discard, body.Literal)
		}
	}
	return shown
}

func (s *imapStore) settle(ctx context.Context, e entry) error {
	flag := imap.FlagDeleted
	if s.box.Settings.GetKeepCopyOnServer() {
		flag = imap.FlagSeen
	}
	uid := imap.UID(e.number)
	err := s.command(ctx, func() error {
		return s.client.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{flag}}, nil).Close()
	})
	if err != nil {
		return fmt.Errorf("marking a mail: %w", err)
	}
	if flag == imap.FlagSeen {
		s.memory.last = max(s.memory.last, e.number)
		return nil
	}
	s.deleted.AddNum(uid)
	if s.pending++; s.pending < maxDeleted {
		return nil
	}
	return s.expunge(ctx)
}

// expunge deletes what was marked for it, by us alone where the server can do that.
func (s *imapStore) expunge(ctx context.Context) error {
	if s.pending == 0 {
		return nil
	}
	err := s.command(ctx, func() error {
		if s.client.Caps().Has(imap.CapUIDPlus) {
			return s.client.UIDExpunge(s.deleted).Close()
		}
		return s.client.Expunge().Close()
	})
	if err != nil {
		return fmt.Errorf("deleting what was read: %w", err)
	}
	s.deleted, s.pending = nil, 0
	return nil
}

// close takes leave, after deleting.
func (s *imapStore) close(ctx context.Context) error {
	defer s.hangUp()
	if err := s.expunge(ctx); err != nil {
		return err
	}
	return s.command(ctx, func() error { return s.client.Logout().Wait() })
}

// idles says whether the server tells of new mail by itself.
func (s *imapStore) idles(ctx context.Context) bool {
	can := false
	err := s.command(ctx, func() error {
		can = s.client.Caps().Has(imap.CapIdle)
		return nil
	})
	return can && err == nil
}

// await returns when there is news, or after a while.
func (s *imapStore) await(ctx context.Context, limit time.Duration) error {
	var idle *imapclient.IdleCommand
	if err := s.command(ctx, func() (err error) { idle, err = s.client.Idle(); return err }); err != nil {
		return fmt.Errorf("waiting for mail: %w", err)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.news:
	case <-timer.C:
	case <-s.client.Closed():
		return errors.New("the server ended the connection while mail was waited for")
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.command(ctx, func() error { return errors.Join(idle.Close(), idle.Wait()) })
}
