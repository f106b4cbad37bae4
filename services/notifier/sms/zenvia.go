package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"portcullis.dev/services/notifier/message"
)

const zenviaEndpoint = "https://api-rest.zenvia.com"

// zenviaRequest is one SMS as Zenvia's classic interface wants it.
type zenviaRequest struct {
	From string `json:"from"`
	// To is a number with its country, digits only.
	To       string `json:"to"`
	Text     string `json:"msg"`
	Callback string `json:"callbackOption"`
	// ID is the delivery's: Zenvia takes each once.
	ID    string `json:"id"`
	Flash bool   `json:"flashSms"`
}

type zenviaAnswer struct {
	// Codes are digits with zeros before them.
	Status string `json:"statusCode"`
	Said   string `json:"statusDescription"`
	Detail string `json:"detailCode"`
	More   string `json:"detailDescription"`
}

func (b *Broker) zenvia(ctx context.Context, m *message.Message, text string) (string, error) {
	sender, _ := Fit(b.settings.Sender, false)
	request := zenviaRequest{From: sender, To: strings.TrimPrefix(m.To, "+"), Text: text, Callback: "ALL", ID: m.ID}
	body, err := json.Marshal(map[string]any{"sendSmsRequest": request})
	if err != nil {
		return "", message.Fail(err, "The SMS can't be written")
	}
	to := []string{cmp.Or(b.settings.Endpoint, zenviaEndpoint), "services", "send-sms"}
	a, err := b.post(ctx, to, "application/json", body)
	if err != nil {
		return "", err
	}
	var said struct {
		Answer zenviaAnswer `json:"sendSmsResponse"`
	}
	// What is no JSON, or says nothing, leaves it to the status of HTTP.
	if err := json.Unmarshal(a.body, &said); err == nil && said.Answer.Status != "" {
		return b.zenviaSaid(a, said.Answer)
	}
	if f := b.byStatus("Zenvia", a); f != nil {
		return "", f
	}
	return "", &message.Failure{Reason: b.line("Zenvia's answer can't be read: %d %s", a.status, a.body), Server: true}
}

// zenviaSaid reads an answer's codes, which count more than the status of HTTP: that is 200 for most failures.
func (b *Broker) zenviaSaid(a *answer, said zenviaAnswer) (string, error) {
	line := b.line("%s %s, %s %s", said.Status, said.Said, said.Detail, said.More)
	if said.Detail == "080" {
		return line, nil // an attempt before this one got through
	}
	f := b.byStatus("Zenvia", a)
	if f == nil && zenviaTook(said.Status) {
		return line, nil
	}
	if f == nil {
		f = new(message.Failure)
	}
	f.Reason = "Zenvia refused it: " + line
	switch {
	case said.Detail == "900", said.Detail == "901":
		f.Server, f.Permanent = true, false
		f.Reason = "Zenvia refuses this account: check the user and password in the SMS settings (" + line + ")"
	case said.Detail == "990":
		f.Server, f.Permanent = true, false
		f.Reason = "Zenvia's limit of this account is reached: ask Zenvia to raise it (" + line + ")"
	case said.Detail == "018":
		f.Server, f.Permanent = true, false
		f.Reason = "Zenvia refuses the sender: change it in the SMS settings (" + line + ")"
	case zenviaForGood(said):
		f.Permanent, f.Server = true, false
	}
	return "", f
}

func zenviaTook(status string) bool {
	return status == "00" || status == "01" || status == "02" || status == "03"
}

// zenviaForGood tells a failure that is about this number or text: 05 no coverage, 06 black-listed, 07 invalid number,
// 08 content, 09 blocked, and those details of 10 (error) that another attempt would bring again.
func zenviaForGood(said zenviaAnswer) bool {
	switch said.Status {
	case "05", "06", "07", "08", "09":
		return true
	}
	switch said.Detail {
	case "010", "011", "012", "013", "014", "015", "016", "017", "021", // what was sent isn't right
		"130", "131", "132", "134", "135", "136", "140", "141", "145", "161", "162", "170", "171", "172": // blocked, not covered, rejected
		return true
	}
	return false
}
