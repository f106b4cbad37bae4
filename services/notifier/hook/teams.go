package hook

import (
	"strings"
	"time"

	"portcullis.dev/services/notifier/message"
)

// teams is a message for a Workflows webhook: an Adaptive Card in its envelope. Its texts are runs, which unlike text
// blocks know no Markdown. It stays far below the 28 kB that Teams takes.
func teams(product string, m *message.Message, at time.Time) object {
	var body []object
	if text := title(m); text != "" {
		body = append(body, teamsText(text, 256, object{"weight": "Bolder", "size": "Large"}))
	}
	// A run knows no line breaks either.
	for line := range strings.Lines(cut(said(m), 3000, one)) {
		if line = strings.TrimSpace(line); line != "" && len(body) < 100 {
			body = append(body, teamsText(line, 3000, object{}))
		}
	}
	body = append(body, teamsText(origin(product, m, at), 300, object{"size": "Small", "isSubtle": true}))
	card := object{
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
		"msteams": object{"width": "Full"}, "body": body,
	}
	return object{"type": "message", "attachments": []object{
		{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card},
	}}
}

// teamsText is a paragraph. Two braces would begin one of the card's own functions, {{DATE(…)}}.
func teamsText(text string, limit int, style object) object {
	style["type"] = "TextRun"
	apart := strings.NewReplacer("{{", "{\u200b{")
	style["text"] = apart.Replace(apart.Replace(cut(text, limit, one))) // twice, for three in a row
	return object{"type": "RichTextBlock", "inlines": []object{style}}
}
