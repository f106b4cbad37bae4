package rpc_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "portcullis.dev/proto/portcullis/audit/v1"
	_ "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

// methods are all that the protos have, by full name.
func methods(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	all := map[string]protoreflect.MethodDescriptor{}
	var files []string
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		ours := strings.HasPrefix(string(f.Package()), "portcullis.")
		if !ours && f.Path() != "envoy/service/auth/v3/external_auth.proto" {
			return true
		}
		files = append(files, f.Path())
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				all["/"+string(service.FullName())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	there, err := filepath.Glob("../../../proto/portcullis/*/*/*.proto")
	if err != nil || len(there) == 0 {
		t.Fatal("no protos: ", err)
	}
	for _, name := range there {
		if path := strings.TrimPrefix(filepath.ToSlash(name), "../../../proto/"); !slices.Contains(files, path) {
			t.Errorf("%s is not linked into this test", path)
		}
	}
	return all
}

func TestEveryMethodHasARowAndEveryRowAMethod(t *testing.T) {
	table, all := rpc.Table(), methods(t)
	for name := range all {
		if _, ok := table[name]; !ok {
			t.Errorf("%s has no row", name)
		}
	}
	for name := range table {
		if all[name] == nil {
			t.Errorf("the row %s has no method", name)
		}
	}
}

func TestARowNamesServicesAndPermissionsThatAre(t *testing.T) {
	services := []string{rpc.Control, rpc.Identity, rpc.Gate, rpc.Broker, rpc.Bastion, rpc.Notifier, rpc.Gateway}
	needs := append(who.Permissions(), rpc.Anyone, rpc.SignedIn, rpc.Enforcers)
	for name, row := range rpc.Table() {
		for _, service := range slices.Concat([]string{row.Owner}, row.Carry, row.Own) {
			if !slices.Contains(services, service) && service != rpc.Every {
				t.Errorf("%s: there is no service %q", name, service)
			}
		}
		for _, need := range row.Need {
			if !slices.Contains(needs, need) {
				t.Errorf("%s: there is no permission %q", name, need)
			}
		}
		if (len(row.Carry) == 0) != (len(row.Need) == 0) || len(row.Carry)+len(row.Own) == 0 {
			t.Errorf("%s: who may call it, and with what?", name)
		}
	}
}

func TestWhatHasAnHTTPPathIsPublicAndNothingElseButStreamsOfDoors(t *testing.T) {
	all := methods(t)
	for name, row := range rpc.Table() {
		http := proto.HasExtension(all[name].Options(), annotations.E_Http)
		doors := strings.HasSuffix(name, "/CheckStream") || strings.HasSuffix(name, "/Attach") || name == authv3.Authorization_Check_FullMethodName
		if row.Public() != (http || doors) {
			t.Errorf("%s: public %v, with an HTTP path %v", name, row.Public(), http)
		}
	}
}

func TestARowKnowsWhetherItsCallerSendsMany(t *testing.T) {
	all := methods(t)
	for name, row := range rpc.Table() {
		if many := all[name].IsStreamingClient(); row.Many != many {
			t.Errorf("%s: many requests %v, its proto says %v", name, row.Many, many)
		}
	}
}

func TestTheEmergencyPanelTakesItsOwnPermissionAlone(t *testing.T) {
	for name, row := range rpc.Table() {
		verb := name[strings.LastIndexByte(name, '/')+1:]
		changes := slices.ContainsFunc([]string{"Apply", "Cancel", "Shorten", "Preview"}, func(v string) bool { return strings.HasPrefix(verb, v) })
		if strings.Contains(name, ".Emergencies/") && changes && !slices.Equal(row.Need, []string{who.ControlEmergencies}) {
			t.Errorf("%s takes %v", name, row.Need)
		}
	}
}

func TestOnlySignInSignOutPostureAndTheBrokersCallbacksStayOpenInALockdown(t *testing.T) {
	var open []string
	for name, row := range rpc.Table() {
		if row.Open {
			open = append(open, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	slices.Sort(open)
	byProvider := []string{"BeginProviderSignIn", "CompleteProviderSignIn", "EndProviderSignIns", "FinishProviderSignIn", "GetSignInOptions", "LeaveProvider"}
	if want := slices.Sorted(slices.Values(append(byProvider, "CreateSignIn", "DeleteSignIn", "GetPosture", "WatchPosture", "ReceiveTwilioStatus", "ReceiveZenviaStatus"))); !slices.Equal(open, want) {
		t.Error(open)
	}
}

func TestAnEnforcersTokenOpensTheDoorsOwnCallsOnly(t *testing.T) {
	got := map[string]bool{}
	for name, row := range rpc.Table() {
		if slices.Contains(row.Need, rpc.Enforcers) {
			got[name[strings.LastIndexByte(name, '/')+1:]] = true
		}
	}
	if want := map[string]bool{"Check": true, "CheckStream": true, "Attach": true}; !maps.Equal(got, want) {
		t.Error(got)
	}
}
