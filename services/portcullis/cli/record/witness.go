package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

// read reads the files of checkpoints, each with one or with many, or a mail as it came.
func (v *verifying) read(files []string) error {
	for _, name := range files {
		text, err := v.Term.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the checkpoints: %w", err)
		}
		whole, torn := audit.SplitNotes(string(text))
		if len(whole) == 0 {
			whole, _ = audit.SplitNotes(inMail(text))
			torn = 0 // all around it is of the mail
		}
		if len(whole) == 0 {
			return app.Usagef("%s holds no checkpoint: one begins with the line %s", name, audit.Origin)
		}
		v.notes, v.torn = append(v.notes, whole...), v.torn+torn
	}
	return nil
}

// inMail is what a mail has from its checkpoint on, as it was written.
func inMail(text []byte) string {
	at := bytes.Index(text, []byte("\n"+audit.Origin))
	if at < 0 {
		return ""
	}
	plain, _ := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(text[at+1:]))) // whatever follows the part may be something else
	return string(plain)
}

// present takes the server's present checkpoint: before the record, so that the record has to contain it. A server
// whose record does not verify signs none, and shows it all the same.
func (v *verifying) present(ctx context.Context) error {
	answer := new(auditv1.Checkpoint)
	err := v.Get(ctx, "/v1/audit/checkpoint", answer)
	var no *api.Refusal
	if errors.As(err, &no) && no.Reason == fault.JournalUnavailable {
		v.Term.Note("The server signs no checkpoint: %s", no.Message)
		return nil
	}
	if err != nil {
		return err
	}
	v.own = answer.GetNote()
	if answer.GetVkey() == "" { // of a version before there was one
		return nil
	}
	v.vkey, err = audit.ReadVKey(answer.GetVkey())
	return err
}

func (v *verifier) hasStreams() bool {
	return slices.ContainsFunc(v.kept, func(c audit.Checkpoint) bool { return len(c.Streams) > 0 })
}

const asked = 200 // sequences at once

// holdStreams has the server read the streams anew, and holds them to what was witnessed of them. One that no checkpoint names is
// held to nothing.
func (v *verifying) holdStreams(ctx context.Context) error {
	sequences := map[string][]uint64{}
	for _, c := range v.kept {
		for _, s := range c.Streams {
			sequences[s.Stream] = append(sequences[s.Stream], s.Sequence)
		}
	}
	for _, stream := range []string{"IDENTITY", "DIRECTORY"} {
		wanted := slices.Compact(slices.Sorted(slices.Values(sequences[stream])))
		if len(wanted) == 0 {
			v.unseen = append(v.unseen, stream)
			continue
		}
		now, last := map[uint64][]byte{}, uint64(0)
		for some := range slices.Chunk(wanted, asked) {
			end, err := v.headsOf(ctx, stream, some, now)
			if err != nil {
				return err
			}
			last = end
		}
		if err := audit.HoldStream(stream, last, now, v.kept); err != nil {
			return err
		}
		v.streams = append(v.streams, audit.StreamHead{Stream: stream, Sequence: wanted[len(wanted)-1]})
	}
	return nil
}

func (v *verifying) headsOf(ctx context.Context, stream string, sequences []uint64, now map[uint64][]byte) (last uint64, err error) {
	query := url.Values{}
	for _, sequence := range sequences {
		query.Add("sequences", strconv.FormatUint(sequence, 10))
	}
	whole := false
	err = v.Client().Stream(ctx, api.Request{Path: "/v1/audit/streams/" + stream + ":export", Query: query}, func(raw json.RawMessage) error {
		head := new(auditv1.StreamHead)
		if err := api.Decode(raw, head); err != nil {
			return fmt.Errorf("reading how far %s is: %w", stream, err)
		}
		if whole = head.GetLast(); whole {
			last = head.GetSequence()
		}
		if len(head.GetHash()) > 0 {
			now[head.GetSequence()] = head.GetHash()
		}
		return nil
	})
	if err == nil && !whole {
		err = &api.Unreachable{Address: v.Client().Address(), Sent: true, Cause: io.ErrUnexpectedEOF}
	}
	return last, err
}
