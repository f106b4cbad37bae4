package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/deploy/e2e/stack"
)

// The snippets of deploy/proxies, on the real proxies: what they let through, and what their clients get.
func proxiesAsk(w *world) {
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": "proxies", "channel": "ENFORCER"})).Text("token")
	app := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(a, "inside as %s%s, token %q", r.Header.Get("X-Forwarded-User"), r.Header.Get("X-Portcullis-User"), r.Header.Get("X-Portcullis-Token"))
	}))
	w.Cleanup(app.Close)
	gate, site := strings.TrimPrefix(w.HTTP, "http://"), strings.TrimPrefix(app.URL, "http://")
	askedAt := map[string]string{"nginx": gate, "caddy": gate, "haproxy": w.SPOE}
	type proxy struct {
		name, address string
	}
	var proxies, cutOff []proxy
	for name, start := range map[string]func(gate, app, token string) string{"nginx": w.nginx, "caddy": w.caddy, "haproxy": w.haproxy} {
		if _, err := exec.LookPath(name); err != nil {
			w.Logf("*** LEFT OUT: %s is not installed; deploy/ci/prepare.sh says how", name)
			continue
		}
		proxies = append(proxies, proxy{name, start(askedAt[name], site, token)})
		port, err := stack.FreePort()
		if err != nil {
			w.Fatal(err)
		}
		cutOff = append(cutOff, proxy{name, start(fmt.Sprintf("127.0.0.1:%d", port), site, token)})
	}
	each := func(check func(name, address string)) {
		for _, p := range proxies {
			check(p.name, p.address)
		}
	}
	isOpen := func(name, address string) {
		a, body := w.visit(address, "alice", password)
		if a.StatusCode != http.StatusOK || body != `inside as alice, token ""` {
			w.Errorf("%s lets alice in with %s %s", name, a.Status, body)
		}
	}
	each(isOpen)
	each(func(name, address string) {
		if a, body := w.visit(address, "alice", "guessed"); a.StatusCode != http.StatusUnauthorized {
			w.Errorf("%s: a wrong password is %s %s", name, a.Status, body)
		}
		forged := map[string]string{"X-Portcullis-User": w.first.Name, "X-Portcullis-Device": "web-1", "X-Portcullis-Channel": "INTERACTIVE", "X-Portcullis-Token": "pct_x_y", "X-Forwarded-User": "root"}
		if a, body := w.visit(address, "alice", password, forged); a.StatusCode != http.StatusOK || !strings.HasPrefix(body, "inside as ") || strings.Contains(body, "as "+w.first.Name) {
			w.Errorf("%s: headers of alice's own get %s %s", name, a.Status, body)
		}
	})
	envoy := w.envoy(token)
	if a := envoy("alice", "db-1"); a.GetOkResponse() == nil {
		w.Errorf("Envoy is told %v", a)
	}

	freezer := w.root()
	frozen := w.freeze(freezer, nil).Text("id")
	each(func(name, address string) {
		if a, body := w.visit(address, "alice", password); a.StatusCode != http.StatusForbidden || !strings.Contains(body, `"reason":"FROZEN"`) || !strings.Contains(body, frozen) {
			w.Errorf("%s: a freeze is %s %s", name, a.Status, body)
		}
	})
	w.cancel(freezer, "freezes", frozen)
	root := w.root()
	id := w.lockdown(root, nil).Text("id")
	forged := map[string]string{"X-Portcullis-User": w.first.Name, "X-Portcullis-Channel": "INTERACTIVE", "X-Portcullis-Device": "web-1"}
	each(func(name, address string) {
		for _, headers := range []map[string]string{nil, forged} {
			a, body := w.visit(address, "alice", password, headers)
			if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.HasPrefix(body, `{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until `) {
				w.Errorf("%s: a lockdown is %s %v %s", name, a.Status, a.Header, body)
			}
		}
	})
	denied := envoy("alice", "db-1").GetDeniedResponse()
	headers := map[string]string{}
	for _, h := range denied.GetHeaders() {
		headers[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	if denied.GetStatus().GetCode() != 503 || headers["retry-after"] == "" || !strings.HasPrefix(denied.GetBody(), `{"response":{"status":503,"mensagem":`) {
		w.Errorf("Envoy is told %v", denied)
	}
	for _, p := range cutOff {
		a, body := w.visit(p.address, "alice", password)
		if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "can not be reached") || strings.Contains(body, "Lockdown") {
			w.Errorf("%s without its gate: %s %s", p.name, a.Status, body)
		}
	}
	w.cancel(root, "lockdowns", id)
	each(isOpen)
}

func (w *world) visit(address, user, password string, headers ...map[string]string) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	for _, all := range headers {
		for name, value := range all {
			r.Header.Set(name, value)
		}
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		w.Fatal(err)
	}
	return a, string(body)
}

// envoy asks as Envoy does, for whom its jwt_authn filter has verified.
func (w *world) envoy(token string) func(user, device string) *authv3.CheckResponse {
	conn, err := grpc.NewClient(w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	return func(user, device string) *authv3.CheckResponse {
		w.Helper()
		verified, err := structpb.NewStruct(map[string]any{"payload": map[string]any{"sub": user}})
		if err != nil {
			w.Fatal(err)
		}
		ctx := metadata.AppendToOutgoingContext(w.Context(), "authorization", "Bearer "+token)
		a, err := authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			ContextExtensions: map[string]string{"device": device},
			MetadataContext:   &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.jwt_authn": verified}},
			Request:           &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Headers: map[string]string{"x-portcullis-user": w.first.Name}}},
		}})
		if err != nil {
			w.Fatal(err)
		}
		return a
	}
}

// snippet is one of deploy/proxies with what is put in.
func (w *world) snippet(file string, puts ...string) string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Root(), "deploy", "proxies", file))
	if err != nil {
		w.Fatal(err)
	}
	var body []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "#") {
			body = append(body, line)
		}
	}
	return strings.NewReplacer(puts...).Replace(strings.Join(body, "\n"))
}

// proxyFolder has a port, and a folder that a proxy may write to.
func (w *world) proxyFolder() (folder, listen string) {
	w.Helper()
	port, err := stack.FreePort()
	if err != nil {
		w.Fatal(err)
	}
	return tempDir(w.T), fmt.Sprintf("127.0.0.1:%d", port)
}

func (w *world) nginx(gate, app, token string) string {
	folder, listen := w.proxyFolder()
	users, config := filepath.Join(folder, "users"), filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(users, []byte("alice:{PLAIN}"+password+"\n"), 0o644); err != nil {
		w.Fatal(err)
	}
	text := "daemon off; master_process off; pid " + folder + "/pid; error_log " + folder + "/error.log; events {}\nhttp { access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += kind + "_temp_path " + folder + "/" + kind + ";\n"
	}
	text += w.snippet("nginx.conf", "LISTEN", listen, "USERS", users, "GATE", gate, "TOKEN", token, "DEVICE", "db-1", "APP", app) + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	return w.runProxy(exec.Command("nginx", "-p", folder, "-c", config), listen)
}

func (w *world) caddy(gate, app, token string) string {
	folder, listen := w.proxyFolder()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		w.Fatal(err)
	}
	config := filepath.Join(folder, "Caddyfile")
	text := "{\n\tadmin off\n\tauto_https off\n}\n" +
		w.snippet("Caddyfile", "LISTEN", "http://"+listen, "NAME", "alice", "HASH", string(hash), "GATE", gate, "TOKEN", token, "DEVICE", "db-1", "APP", app)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", config)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder, "HOME="+folder)
	return w.runProxy(cmd, listen)
}

func (w *world) haproxy(gate, app, token string) string {
	folder, listen := w.proxyFolder()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		w.Fatal(err)
	}
	config, spoe := filepath.Join(folder, "haproxy.cfg"), filepath.Join(folder, "spoe.conf")
	puts := []string{"LISTEN", listen, "NAME", "alice", "HASH", string(hash), "GATE", gate, "TOKEN", token, "DEVICE", "db-1", "APP", app, "SPOE_CONF", spoe}
	for file, text := range map[string]string{config: w.snippet("haproxy.cfg", puts...), spoe: w.snippet("spoe.conf", puts...)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			w.Fatal(err)
		}
	}
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		w.Fatal(err)
	}
	return w.runProxy(exec.Command(haproxy, "-db", "-f", config), listen)
}

// runProxy runs one until the test ends, and answers its address once it listens.
func (w *world) runProxy(cmd *exec.Cmd, listen string) string {
	w.Helper()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.Failed() {
			w.Logf("%s said: %s", cmd.Path, said.String())
		}
	})
	w.eventually(20*time.Second, cmd.Path+" listens", func() bool {
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", listen)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "http://" + listen + "/"
}
