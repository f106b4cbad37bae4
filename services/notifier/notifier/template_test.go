package notifier

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

const started = "emergency.lockdown.started"

func (o *office) write(d *opened, t *notificationv1.Template, paths ...string) (*notificationv1.Template, error) {
	t.Type = started
	return d.UpdateTemplate(o.admin(), &notificationv1.UpdateTemplateRequest{Template: t, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

func TestATextIsWrittenPreviewedAndTakenBack(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	get := &notificationv1.GetTemplateRequest{Type: started, Language: "pt-BR"}
	first := must(d.GetTemplate(o.admin(), get))
	if first.GetChanged() || first.GetSubject() == "" {
		t.Fatalf("to begin with, it is %v", first)
	}
	written := must(o.write(d, &notificationv1.Template{Language: "pt-BR", Subject: "Lockdown até {{until}}"}, "subject"))
	if !written.GetChanged() || written.GetBody() != first.GetBody() || written.GetUpdatedBy() != "admin" || written.GetUpdateTime() == nil {
		t.Errorf("written %v", written)
	}
	d.crash()
	d = o.desk()
	preview := must(d.PreviewTemplate(o.admin(), &notificationv1.PreviewTemplateRequest{Template: &notificationv1.Template{Type: started, Language: "pt-BR"}}))
	if !strings.HasPrefix(preview.GetSubject(), "Lockdown até ") || strings.Contains(preview.GetSubject(), "{{") || preview.GetHtml() == "" || preview.GetSmsSegments() == 0 || preview.GetFacts()["until"] == "" {
		t.Errorf("shown as %v", preview)
	}
	changed := must(d.ListTemplates(o.admin(), &notificationv1.ListTemplatesRequest{Filter: "changed=true"})).GetTemplates()
	if len(changed) != 1 || changed[0].GetSubject() != "Lockdown até {{until}}" {
		t.Errorf("changed are %v", changed)
	}
	must(d.DeleteTemplate(o.admin(), &notificationv1.DeleteTemplateRequest{Type: started, Language: "pt-BR"}))
	must(d.DeleteTemplate(o.admin(), &notificationv1.DeleteTemplateRequest{Type: started, Language: "pt-BR"}))
	if again := must(d.GetTemplate(o.admin(), get)); again.GetChanged() || again.GetSubject() != first.GetSubject() {
		t.Errorf("taken back, it is %v", again)
	}
}

func TestATextThatCouldNotBeRenderedIsRefusedAtItsField(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for field, in := range map[string]*notificationv1.Template{
		"subject": {Subject: "two\nlines"},
		"body":    {Body: "{{nothing_of_the_kind}}"},
		"short":   {Short: " "},
	} {
		in.Language = "en"
		_, err := o.write(d, in, field)
		wantRefused(t, err, fault.InvalidArgument, field)
		in.Subject, in.Body, in.Short = in.GetSubject()+"x", in.GetBody()+"x", in.GetShort()
		_, err = d.PreviewTemplate(o.admin(), &notificationv1.PreviewTemplateRequest{Template: in})
		if !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("previewed: %v", err)
		}
	}
	_, err := o.write(d, &notificationv1.Template{Language: "fr", Subject: "x"}, "subject")
	wantRefused(t, err, fault.NotFound, "")
	_, err = d.GetTemplate(o.admin(), &notificationv1.GetTemplateRequest{Type: "emergency.tea.ready", Language: "en"})
	wantRefused(t, err, fault.NotFound, "")
}

func TestTextsAreFoundByCategoryAndLanguage(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	all := must(d.ListTemplates(o.admin(), &notificationv1.ListTemplatesRequest{})).GetTemplates()
	if len(all) != 2*len(text.Types()) {
		t.Errorf("there are %d texts for %d types", len(all), len(text.Types()))
	}
	some := must(d.ListTemplates(o.admin(), &notificationv1.ListTemplatesRequest{Filter: "category=Emergency panel AND language=pt-BR AND changed=false"})).GetTemplates()
	if len(some) == 0 || len(some) >= len(all)/2 {
		t.Errorf("%d of %d", len(some), len(all))
	}
	for _, one := range some {
		if one.GetLanguage() != "pt-BR" || !strings.HasPrefix(one.GetType(), "emergency.") {
			t.Errorf("found %v", one)
		}
	}
	_, err := d.ListTemplates(o.admin(), &notificationv1.ListTemplatesRequest{Filter: "changed=maybe"})
	wantRefused(t, err, fault.InvalidArgument, "filter")
}
