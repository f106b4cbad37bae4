package hook

import (
	"cmp"
	"strings"
	"time"

	"portcullis.dev/services/notifier/message"
)

// slack is a message for an incoming webhook. Its blocks are plain text, so that nothing in it is markup, a link or a
// mention; the text beside them is what notifications on a phone show.
func slack(product string, m *message.Message, at time.Time) object {
	var blocks []object
	if text := title(m); text != "" {
		blocks = append(blocks, object{"type": "header", "text": slackText(text, 150)})
	}
	if text := said(m); text != "" {
		blocks = append(blocks, object{"type": "section", "text": slackText(text, 3000)})
	}
	small := origin(product, m, at)
	blocks = append(blocks, object{"type": "context", "elements": []object{slackText(small, 300)}})
	text := strings.TrimSpace(title(m) + "\n" + said(m))
	return object{
		"text":   slackEscape(cmp.Or(text, small), 3000),
		"blocks": blocks, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false,
	}
}

func slackText(text string, limit int) object {
	return object{"type": "plain_text", "text": slackEscape(text, limit), "emoji": false}
}

// slackEscape writes the three characters that Slack knows as its own as it wants them, within a limit.
func slackEscape(text string, limit int) string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return escape.Replace(cut(text, limit, func(r rune) int { return len([]rune(escape.Replace(string(r)))) }))
}
