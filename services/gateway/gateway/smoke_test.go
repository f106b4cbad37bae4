package gateway

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func protoName(s string) protoreflect.Name { return protoreflect.Name(s) }

func TestSmoke(t *testing.T) {
	p := open(t)
	for _, c := range [][]string{
		{"GET", "/v1/posture", ""}, {"GET", "/", ""}, {"GET", "/docs", ""}, {"GET", "/healthz", ""}, {"GET", "/readyz", ""}, {"POST", "/v1/freezes", `{"duration":"900s","justification":"x"}`},
		{"POST", "/v1/freezes", `{"duration":"900s","justificatio":"x"}`},
		{"POST", "/v1/freezes", `{"duration":"9x"}`},
		{"POST", "/v1/freezes", `{"duration":"99999999999999999s"}`},
		{"POST", "/v1/freezes", `{"duration":7}`},
		{"POST", "/v1/freezes", `{"a":`},
		{"POST", "/v1/freezes", `{} {}`},
		{"POST", "/v1/devices", `{"name":"a","protocol":"SSX"}`},
		{"GET", "/v1/devices/a%2Fb", ``},
		{"GET", "/v1/devices/a%0Ab", ``},
		{"GET", "/v1/devices/..", ``},
		{"GET", "/v1/devices/a%ffb", ``},
		{"GET", "/v1/devices?page_size=x", ``},
		{"GET", "/v1/devices?pag=x", ``},
		{"GET", "/v1/devices?pageSize=10&filter=%ff", ``},
		{"PUT", "/v1/devices", ``},
		{"GET", "/v2/devices", ``},
		{"GET", "/v1/terminations", ``},
		{"PATCH", "/v1/users/bob", `{"email":null}`},
		{"PATCH", "/v1/devices/bob", `{"labels":{"a":"b"},"requestId":"7","host":null}`},
		{"PATCH", "/v1/devices/bob", `{"name":"x"}`},
		{"PATCH", "/v1/devices/bob", `{}`},
		{"POST", "/v1/emergencies:preview", `{"freeze":{"duration":"60s"},"lockdown":{}}`},
	} {
		a := p.call(t, c[0], c[1], c[2])
		if len(a.body) > 400 {
			a.body = a.body[:400]
		}
		t.Log(c[0], c[1], c[2], "→", a.status, a.body)
	}
	_, r := p.last()
	t.Log(r)
	t.Log(p.log)
}
