package scenario

import (
	"net/http"
	"time"

	"portcullis.dev/deploy/e2e/client"
)

func grantsWorkOnce(w *world) {
	root, other := w.root(), w.root()
	code, err := root.Code()
	if err != nil {
		w.Fatal(err)
	}
	grant := w.must(root.Call(http.MethodPost, "/v1/grants", object{"code": code, "purpose": "freeze"})).Text("grant")
	a, err := root.Call(http.MethodPost, "/v1/grants", object{"code": code, "purpose": "freeze"})
	w.refused(http.StatusUnauthorized, "CODE_USED", a, err)
	if w.moment(a, "details.retryTime").Before(time.Now().Add(-time.Second)) {
		w.Errorf("the refusal of a used code says to come back in the past: %s", a)
	}
	a, err = client.Client{Base: w.HTTP}.Call(http.MethodPost, "/v1/sign-ins",
		object{"username": root.Name, "password": root.Password, "code": code})
	w.refused(http.StatusUnauthorized, "CODE_USED", a, err)
	a, err = root.Call(http.MethodPost, "/v1/grants", object{"code": "000000", "purpose": "freeze"})
	w.refused(http.StatusUnauthorized, "CODE_INVALID", a, err)

	// Another's, or for another purpose, or no grant at all.
	soon := object{"duration": "60s", "startTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	a, err = w.ask(other, "freeze", "/v1/freezes", with(soon, object{"grant": grant}))
	w.refused(http.StatusForbidden, "GRANT_INVALID", a, err)
	a, err = w.ask(root, "lockdown", "/v1/lockdowns", with(soon, object{"grant": grant}))
	w.refused(http.StatusForbidden, "GRANT_INVALID", a, err)
	a, err = w.ask(root, "freeze", "/v1/freezes", with(soon, object{"grant": grant[:len(grant)-4] + "AAAA"}))
	w.refused(http.StatusForbidden, "GRANT_INVALID", a, err)
	a, err = w.ask(root, "freeze", "/v1/freezes", with(soon, object{"grant": ""}))
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	// A call refused for its arguments does not spend it.
	a, err = w.ask(root, "freeze", "/v1/freezes", with(soon, object{"grant": grant, "justification": " "}))
	w.refused(http.StatusBadRequest, "JUSTIFICATION_REQUIRED", a, err)

	body := with(soon, object{"grant": grant, "requestId": requestID(), "justification": "Practice"})
	first := w.must(root.Call(http.MethodPost, "/v1/freezes", body))
	if first.Text("status") != "PENDING" {
		w.Errorf("a freeze in an hour reads %s", first)
	}
	again := w.must(root.Call(http.MethodPost, "/v1/freezes", body))
	if again.Text("id") != first.Text("id") || again.Text("revision") != first.Text("revision") {
		w.Errorf("the same request again got %s, want its first answer %s", again, first)
	}
	a, err = root.Call(http.MethodPost, "/v1/freezes", with(body, object{"duration": "120s"}))
	w.refused(http.StatusConflict, "REQUEST_ID_REUSED", a, err)
	a, err = w.ask(root, "freeze", "/v1/freezes", with(soon, object{"grant": grant}))
	w.refused(http.StatusForbidden, "GRANT_USED", a, err)
	if list := w.must(root.Call(http.MethodGet, "/v1/freezes", nil)).Objects("freezes"); len(list) != 1 {
		w.Errorf("%d freezes are on record, want 1", len(list))
	}
}

func panelIsGuarded(w *world) {
	root := w.root()
	olga := w.person("olga") // an auditor reads all and changes nothing
	if err := olga.Enroll(); err != nil {
		w.Fatal(err)
	}
	w.must(olga.Call(http.MethodGet, "/v1/freezes", nil))
	w.must(olga.Call(http.MethodGet, "/v1/audit", nil))
	code, err := olga.Code()
	if err != nil {
		w.Fatal(err)
	}
	a, err := olga.Call(http.MethodPost, "/v1/grants", object{"code": code, "purpose": "freeze"})
	w.refused(http.StatusForbidden, "PERMISSION_DENIED", a, err)
	grant, err := root.Grant("")
	if err != nil {
		w.Fatal(err)
	}
	bare, err := w.crew.Make(w.root()) // without an MFA app
	if err != nil {
		w.Fatal(err)
	}
	for path, body := range map[string]object{
		"/v1/freezes":      {"duration": "60s"},
		"/v1/lockdowns":    {"duration": "60s"},
		"/v1/terminations": {"selector": object{"all": true}},
	} {
		for _, p := range []*client.Person{olga, w.person("alice")} {
			a, err = w.ask(p, "", path, with(body, object{"grant": grant}))
			w.refused(http.StatusForbidden, "PERMISSION_DENIED", a, err)
		}
		a, err = w.ask(bare, "", path, with(body, object{"grant": grant}))
		w.refused(http.StatusForbidden, "GRANT_INVALID", a, err)
	}
	a, err = bare.Call(http.MethodPost, "/v1/grants", object{"code": "123456", "purpose": "freeze"})
	w.refused(http.StatusBadRequest, "MFA_NOT_ENROLLED", a, err)

	// Nobody gives a role of their own making the panel, and nobody raises themselves.
	a, err = root.Call(http.MethodPost, "/v1/roles", object{
		"name": "Almost", "permissions": []string{"System.Read", "System.EmergencyPanel.Control"},
	})
	if err != nil || a.Status != http.StatusBadRequest && a.Status != http.StatusForbidden {
		w.Errorf("a custom role with the panel's permission: %v %v", a, err)
	}
	alice := w.person("alice")
	a, err = alice.Call(http.MethodPatch, "/v1/users/alice", object{"roles": []string{"System Administrator"}})
	w.refused(http.StatusForbidden, "PERMISSION_DENIED", a, err)
	a, err = root.Call(http.MethodPatch, "/v1/users/alice", object{"roles": []string{"System Administrator"}})
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	w.must(root.Call(http.MethodPatch, "/v1/users/alice", object{
		"roles": []string{"System Administrator"}, "grant": grant, "justification": "On call",
	}))
	for _, kind := range []string{"freezes", "lockdowns", "terminations"} {
		if list := w.must(root.Call(http.MethodGet, "/v1/"+kind, nil)).Objects(kind); len(list) != 0 {
			w.Errorf("refused calls left %d %s", len(list), kind)
		}
	}
}

func policyAsksForTicket(w *world) {
	root, other, second := w.root(), w.root(), w.root()
	a, err := root.Call(http.MethodPatch, "/v1/policy", object{"governanceCode": "REQUIRED"})
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	grant, err := root.Grant("policy")
	if err != nil {
		w.Fatal(err)
	}
	w.must(root.Call(http.MethodPatch, "/v1/policy", object{
		"governanceCode": "PATTERN", "governancePattern": "(CHG|INC)-[0-9]+", "ticketCheck": "ON", "secondAdministrator": true, "grant": grant, "justification": "Audit finding 12",
	}))
	grant, err = root.Grant("terminate")
	if err != nil {
		w.Fatal(err)
	}
	all := object{"selector": object{"all": true}, "grant": grant}
	a, err = w.ask(root, "", "/v1/terminations", with(all, object{"governanceCode": ""}))
	w.refused(http.StatusBadRequest, "GOVERNANCE_CODE_REQUIRED", a, err)
	for _, code := range []string{"4711", "XCHG-1", "CHG-1x", "chg-1", "CHG-404"} {
		a, err = w.ask(root, "", "/v1/terminations", with(all, object{"governanceCode": code}))
		w.refused(http.StatusBadRequest, "GOVERNANCE_CODE_REFUSED", a, err)
	}
	w.must(w.ask(root, "", "/v1/terminations", with(all, object{"governanceCode": "CHG-1"})))

	f := w.freeze(other, object{"governanceCode": "INC-2"})
	path := "/v1/freezes/" + f.Text("id") + ":cancel"
	grant, err = other.Grant("cancel")
	if err != nil {
		w.Fatal(err)
	}
	approval, err := second.Grant("approve")
	if err != nil {
		w.Fatal(err)
	}
	a, err = w.ask(other, "", path, object{"grant": grant, "governanceCode": ""})
	w.refused(http.StatusBadRequest, "GOVERNANCE_CODE_REQUIRED", a, err)
	a, err = w.ask(other, "", path, object{"grant": grant, "justification": ""})
	w.refused(http.StatusBadRequest, "JUSTIFICATION_REQUIRED", a, err)
	a, err = w.ask(other, "", path, object{"grant": grant, "governanceCode": "INC-404"})
	w.refused(http.StatusBadRequest, "GOVERNANCE_CODE_REFUSED", a, err)
	asked := object{"grant": grant, "governanceCode": "INC-3", "justification": "False alarm", "requestId": requestID()}
	a, err = w.ask(other, "", path, asked)
	w.refused(http.StatusBadRequest, "APPROVAL_REQUIRED", a, err)
	approve := func(id string) (*client.Answer, error) {
		return second.Call(http.MethodPost, "/v1/emergencies/"+id+":approve", object{"grant": approval, "requestId": requestID()})
	}
	waits := a.Text("details.approval")
	// By the id of the freeze, at which it is the one thing that waits.
	if a := w.must(approve(f.Text("id"))); a.Text("approval.id") != waits || a.Text("approval.decidedBy") != second.Name || a.Text("emergency.status") != "CANCELLED" {
		w.Errorf("who approves reads %s", a)
	}
	c := w.must(w.ask(other, "", path, asked))
	if c.Text("cancelTicketCheck.title") != "Title of INC-3" || c.Text("approvedBy") != second.Name || c.Text("ticketCheck.state") != "FOUND" {
		w.Errorf("the cancelled freeze reads %s", c)
	}
	if c.Text("governanceCode") != "INC-2" || c.Text("cancelGovernanceCode") != "INC-3" || c.Text("cancelJustification") != "False alarm" {
		w.Errorf("the cancelled freeze reads %s", c)
	}
}
