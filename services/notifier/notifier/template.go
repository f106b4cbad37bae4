package notifier

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/listing"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/sms"
	"portcullis.dev/services/notifier/text"
)

// templateOf is the text for a type and language as it stands, to be changed by whoever asks; nil if there
// is no such type or language.
func templateOf(s *settings.Snapshot, typeName, language string) *notificationv1.Template {
	if written := s.Template(typeName, language); written != nil {
		written = proto.CloneOf(written)
		written.Changed = true
		return written
	}
	t := text.BuiltIn(typeName, language)
	if t.GetLanguage() != language {
		return nil
	}
	return t
}

func noTemplate(typeName, language string) error {
	return fault.New(fault.NotFound, "There is no text for the type %.140q in %.20q. GET /v1/templates lists them", typeName, language)
}

// GetTemplate answers the text for a type and language.
func (d *desk) GetTemplate(_ context.Context, r *notificationv1.GetTemplateRequest) (*notificationv1.Template, error) {
	return d.template(r.GetType(), r.GetLanguage())
}

func (d *desk) template(typeName, language string) (*notificationv1.Template, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	t := templateOf(s, typeName, language)
	if t == nil {
		return nil, noTemplate(typeName, language)
	}
	return t, nil
}

// ListTemplates lists all texts in the order of their types.
func (d *desk) ListTemplates(_ context.Context, r *notificationv1.ListTemplatesRequest) (*notificationv1.ListTemplatesResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	f, err := listing.Filter(r.GetFilter(), "category", "language", "changed")
	if err != nil {
		return nil, err
	}
	changed := f["changed"]
	if changed != "" && changed != "true" && changed != "false" {
		return nil, bad("filter", "changed is true or false, not %.100q", changed)
	}
	answer := new(notificationv1.ListTemplatesResponse)
	for _, of := range text.Types() {
		if f["category"] != "" && !of.Category.Matches(f["category"]) {
			continue
		}
		for _, language := range text.Languages() {
			t := templateOf(s, of.Name, language)
			if (f["language"] == "" || f["language"] == language) && (changed == "" || t.GetChanged() == (changed == "true")) {
				answer.Templates = append(answer.Templates, t)
			}
		}
	}
	return answer, nil
}

// UpdateTemplate writes another text for a type and language.
func (d *desk) UpdateTemplate(ctx context.Context, r *notificationv1.UpdateTemplateRequest) (*notificationv1.Template, error) {
	in, actor := r.GetTemplate(), who.FromContext(ctx).Actor()
	op, err := d.Book.Operation(actor, in.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	_, err = d.Book.Edit(ctx, op, func(e *settings.Edit) error {
		before := templateOf(e.Snapshot, in.GetType(), in.GetLanguage())
		if before == nil {
			return noTemplate(in.GetType(), in.GetLanguage())
		}
		after := proto.CloneOf(before)
		if err := merge(after, in, r.GetUpdateMask()); err != nil {
			return err
		}
		after.Type, after.Language = before.GetType(), before.GetLanguage()
		if err := text.Check(after); err != nil {
			return err
		}
		if proto.Equal(before, after) {
			return nil
		}
		after.Changed, after.UpdatedBy, after.UpdateTime = false, actor, timestamppb.New(d.Now())
		record := &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Template{Template: after}}
		return e.Put(settings.Templates, settings.TemplateID(in.GetType(), in.GetLanguage()), record, nil)
	})
	if err != nil {
		return nil, err
	}
	return d.template(in.GetType(), in.GetLanguage())
}

// DeleteTemplate goes back to the text that there was to begin with.
func (d *desk) DeleteTemplate(ctx context.Context, r *notificationv1.DeleteTemplateRequest) (*emptypb.Empty, error) {
	_, err := d.Book.Edit(ctx, settings.Operation{}, func(e *settings.Edit) error {
		switch t := templateOf(e.Snapshot, r.GetType(), r.GetLanguage()); {
		case t == nil:
			return noTemplate(r.GetType(), r.GetLanguage())
		case !t.GetChanged():
			return nil
		}
		return e.Delete(settings.Templates, settings.TemplateID(r.GetType(), r.GetLanguage()))
	})
	return &emptypb.Empty{}, err
}

// PreviewTemplate shows what a text becomes with the facts of an example. One that isn't written yet is the
// one that counts now.
func (d *desk) PreviewTemplate(_ context.Context, r *notificationv1.PreviewTemplateRequest) (*notificationv1.PreviewTemplateResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	t := r.GetTemplate()
	if t.GetSubject() == "" && t.GetBody() == "" && t.GetShort() == "" {
		if t = templateOf(s, t.GetType(), t.GetLanguage()); t == nil {
			return nil, noTemplate(r.GetTemplate().GetType(), r.GetTemplate().GetLanguage())
		}
	}
	facts := text.Example(t.GetType(), d.Texts, t.GetLanguage())
	shown, err := text.Render(t, facts)
	if err != nil {
		return nil, err
	}
	_, segments := sms.Fit(shown.Short, s.Sms().GetKeepAccents())
	return &notificationv1.PreviewTemplateResponse{
		Subject: shown.Subject, Text: shown.Body, Html: shown.HTML, Short: shown.Short, Facts: facts,
		SmsSegments: uint32(segments),
	}, nil
}
