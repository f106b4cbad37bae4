package driver

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/access-gate/door"
)

// policy is deploy/kubernetes/policy.yaml, as the API evaluates it.
type policy struct {
	*testing.T
	env  *cel.Env
	spec struct {
		Variables   []struct{ Name, Expression string }
		Validations []struct{ Expression, Message, MessageExpression string }
	}
}

func newPolicy(t *testing.T) *policy {
	t.Helper()
	file, err := os.Open("../../../deploy/kubernetes/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var document struct{ Spec map[string]any }
	p := &policy{T: t}
	err = yaml.NewDecoder(file).Decode(&document) // the first of the file
	if err == nil {
		var text []byte
		if text, err = json.Marshal(document.Spec); err == nil {
			err = json.Unmarshal(text, &p.spec)
		}
	}
	if err == nil {
		p.env, err = cel.NewEnv(cel.Variable("request", cel.DynType), cel.Variable("params", cel.DynType), cel.Variable("variables", cel.DynType))
	}
	if err != nil || len(p.spec.Variables) == 0 || len(p.spec.Validations) != 2 {
		t.Fatalf("reading the policy: %v %v", p.spec, err)
	}
	return p
}

// refusal is what somebody reads who wants in; empty if they get in.
func (p *policy) refusal(data map[string]string, user, namespace string) string {
	p.Helper()
	request := map[string]any{"userInfo": map[string]any{"username": user}}
	if namespace != "" {
		request["namespace"] = namespace
	}
	given := map[string]any{"request": request, "params": map[string]any{"data": data}, "variables": map[string]any{}}
	value := func(expression string) any {
		ast, issues := p.env.Compile(expression)
		if issues.Err() != nil {
			p.Fatal(issues.Err())
		}
		program, err := p.env.Program(ast)
		if err != nil {
			p.Fatal(err)
		}
		out, _, err := program.Eval(given)
		if err != nil {
			p.Fatalf("%s of %v: %v", expression, data, err)
		}
		return out.Value()
	}
	for _, v := range p.spec.Variables {
		given["variables"].(map[string]any)[v.Name] = value(v.Expression)
	}
	for _, v := range p.spec.Validations {
		if value(v.Expression) == true {
			continue
		}
		if v.MessageExpression != "" {
			return value(v.MessageExpression).(string)
		}
		return v.Message
	}
	return ""
}

func TestThePolicyRefusesWhomTheGateRefusesAndNobodyElse(t *testing.T) {
	p, now := newPolicy(t), time.Now()
	freeze := window("F-1", emergencyv1.Emergency_FREEZE, now, now.Add(time.Hour))
	lockdown := window("L-2", emergencyv1.Emergency_LOCKDOWN, now, now.Add(time.Hour))
	lockdown.BreakGlassUsers = []string{"glass"}
	later := window("F-3", emergencyv1.Emergency_FREEZE, now.Add(time.Hour), now.Add(2*time.Hour))
	lock := func(id string, selector *emergencyv1.Selector) *emergencyv1.Emergency {
		e := window(id, emergencyv1.Emergency_LOCK, now, now)
		e.EndTime, e.Selector = nil, selector
		return e
	}
	user, root := lock("K-4", &emergencyv1.Selector{Users: []string{"ana"}}), lock("K-5", &emergencyv1.Selector{Users: []string{"root"}})
	device, group := lock("K-6", &emergencyv1.Selector{Devices: []string{"prod.web"}}), lock("K-7", &emergencyv1.Selector{AccessGroups: []string{"money"}})
	refusals := 0
	for _, on := range [][]*emergencyv1.Emergency{
		nil, {freeze}, {lockdown}, {freeze, lockdown}, {later}, {user}, {root, freeze}, {device}, {group}, {user, device, lockdown},
	} {
		s := directory(9, on...).Snapshot(now)
		data := parameter(s, "prod", zone, now)
		for _, user := range []string{"root", "ana", "glass", "somebody", "system:admin", ",", ""} {
			for _, namespace := range []string{"pay", "web", "kube-system", ""} {
				want := slices.ContainsFunc(door.Namespaces(s, "prod", namespace), func(device string) bool {
					return door.Standing(s, emergency.Request{User: user, Device: device, Channel: emergency.SessionChannel}, now).Emergency != ""
				})
				got := p.refusal(data, user, namespace)
				if (got != "") != want {
					t.Errorf("%v: %q wants into %q and reads %q", on, user, namespace, got)
				}
				if got != "" {
					refusals++
				}
			}
		}
	}
	if refusals < 80 {
		t.Errorf("%d refusals in all", refusals)
	}
	data := parameter(directory(9, freeze).Snapshot(now), "prod", zone, now)
	if got := p.refusal(data, "ana", "pay"); !strings.Contains(got, "prod.pay is frozen until "+zone.Time(now.Add(time.Hour))) {
		t.Errorf("ana reads %q", got)
	}
	if got := p.refusal(data, "ana", ""); got == "" {
		t.Error("a node leads into a frozen namespace")
	}
	whole := directory(9, freeze)
	whole.PutDevice("prod", false)
	whole.PutGroup("clusters", nil, []string{"prod"}, true)
	data = parameter(whole.Snapshot(now), "prod", zone, now)
	if got := p.refusal(data, "ana", "web"); !strings.Contains(got, "prod is frozen") {
		t.Errorf("in a namespace of a frozen cluster ana reads %q", got)
	}
}
