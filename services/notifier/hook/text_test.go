package hook

import (
	"encoding/json"
	"html"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"portcullis.dev/services/notifier/message"
)

// strings of a body that were not written by this package.
func texts(value any, found func(key, text string)) {
	switch value := value.(type) {
	case map[string]any:
		for key, one := range value {
			if text, ok := one.(string); ok {
				found(key, text)
			}
			texts(one, found)
		}
	case []any:
		for _, one := range value {
			texts(one, found)
		}
	}
}

func decoded(t *rapid.T, body object) any {
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func anyMessage(t *rapid.T) *message.Message {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`(<!channel>|&|\*b\*|\{+|\[a\]\(https://b\)|\n|@everyone|\x60|é){0,900}`))
	return &message.Message{ID: "d", Subject: text.Draw(t, "subject"), Body: text.Draw(t, "body"), Short: text.Draw(t, "short")}
}

func TestNoTextOfAMessageIsMarkupForSlack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := decoded(t, slack("Portcullis", anyMessage(t), time.Unix(0, 0)))
		texts(body, func(key, text string) {
			if strings.ContainsAny(text, "<>") || strings.Contains(strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text), "&") {
				t.Fatalf("%q is not escaped", text)
			}
			if key == "type" && text == "mrkdwn" || key == "text" && (text == "" || utf8.RuneCountInString(text) > 3000) {
				t.Fatalf("%s has %q", key, text)
			}
		})
	})
}

func TestNoTextOfAMessageIsMarkupForTeamsAndNoneIsTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := teams("Portcullis", anyMessage(t), time.Unix(0, 0))
		raw, err := json.Marshal(body)
		if err != nil || len(raw) > 28<<10 {
			t.Fatalf("%d bytes, %v", len(raw), err)
		}
		texts(decoded(t, body), func(key, text string) {
			if key == "type" && text == "TextBlock" || strings.Contains(text, "{{") || key == "text" && strings.Contains(text, "\n") {
				t.Fatalf("%s has %q", key, text)
			}
		})
	})
}

func TestALongTextIsCutToItsLimitAndNoEntityIsCutApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.TrimSpace(rapid.StringOfN(rapid.RuneFrom([]rune("a<>&é ")), 0, 60, -1).Draw(t, "text"))
		limit := rapid.IntRange(6, 80).Draw(t, "limit")
		got := slackEscape(text, limit)
		if utf8.RuneCountInString(got) > limit {
			t.Fatalf("%q has more than %d", got, limit)
		}
		if back := html.UnescapeString(got); back != text && !strings.HasPrefix(text, strings.TrimSuffix(back, "…")) {
			t.Fatalf("%q became %q", text, back)
		}
	})
}

func TestTeamsTakesTheLongestMessage(t *testing.T) {
	for _, one := range []string{"<", "\u2028", "😀", "<\n"} {
		raw, err := json.Marshal(teams("Portcullis", &message.Message{Subject: strings.Repeat(one, 5000), Short: strings.Repeat(one, 20000)}, time.Unix(0, 0)))
		if err != nil || len(raw) > 28<<10 {
			t.Errorf("%q: %d bytes, %v", one, len(raw), err)
		}
	}
}
