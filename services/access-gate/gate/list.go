package gate

import (
	"context"
	"encoding/base64"
	"iter"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
)

const (
	usualPage = 50
	maxPage   = 1000
	reads     = 8 // of records at once
)

// filter is what a list is narrowed by: key=value, joined by AND.
type filter map[string]string

func parseFilter(text string, keys ...string) (filter, error) {
	f := filter{}
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	for term := range strings.SplitSeq(text, " AND ") {
		key, value, ok := strings.Cut(term, "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		if _, twice := f[key]; !ok || twice || value == "" || !slices.Contains(keys, key) {
			return nil, inventory.Bad("filter", "%.100q can't be read. Write key=value, joined by AND; the keys are %s", term, strings.Join(keys, ", "))
		}
		f[key] = value
	}
	return f, nil
}

// prefix answers what names begin with: "name=web-*" asks for a prefix, "name=web" for one name.
func (f filter) prefix() (prefix string, exact bool) {
	value, asked := f["name"]
	prefix, open := strings.CutSuffix(value, "*")
	return prefix, asked && !open
}

func (f filter) name(name string) bool {
	prefix, exact := f.prefix()
	return strings.HasPrefix(name, prefix) && (!exact || name == prefix)
}

// page takes names, which come in order, from behind the token, and answers the token of the next page.
func page(names iter.Seq[string], size int32, after string, keep func(string) bool) (taken []string, next string) {
	limit := usualPage
	if size > 0 {
		limit = min(int(size), maxPage)
	}
	for name := range names {
		if name <= after || !keep(name) {
			continue
		}
		if len(taken) == limit {
			return taken, base64.RawURLEncoding.EncodeToString([]byte(taken[limit-1]))
		}
		taken = append(taken, name)
	}
	return taken, ""
}

func pageAfter(token string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || token != "" && !inventory.ValidName(string(raw)) {
		return "", inventory.Bad("pageToken", "this is not one of ours. Start again without it")
	}
	return string(raw), nil
}

// ListDevices lists devices by name.
func (s *Service) ListDevices(ctx context.Context, r *gatev1.ListDevicesRequest) (*gatev1.ListDevicesResponse, error) {
	f, err := parseFilter(r.GetFilter(), "group", "protocol", "name", "blocked")
	if err != nil {
		return nil, err
	}
	after, err := pageAfter(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	keep, err := s.deviceFilter(f)
	if err != nil {
		return nil, err
	}
	names, next := page(s.deviceNames(f, after), r.GetPageSize(), after, keep)
	devices, err := s.devices(ctx, names)
	return &gatev1.ListDevicesResponse{Devices: devices, NextPageToken: next}, err
}

// deviceNames are those that a filter may mean, in order.
func (s *Service) deviceNames(f filter, after string) iter.Seq[string] {
	if group := f["group"]; group != "" {
		return slices.Values(s.snapshot().GroupDevices(group))
	}
	prefix, _ := f.prefix()
	return func(yield func(string) bool) {
		for name := range s.snapshot().Devices(max(after, prefix)) {
			if !strings.HasPrefix(name, prefix) || !yield(name) {
				return
			}
		}
	}
}

func (s *Service) deviceFilter(f filter) (func(string) bool, error) {
	known, keep := s.snapshot(), f.name
	if group := f["group"]; group != "" && !known.HasGroup(group) {
		return nil, fault.New(fault.NotFound, "There is no access group %.140q to list the devices of. Check the name", group).With("field", "filter")
	}
	if text := f["protocol"]; text != "" {
		protocol, ok := gatev1.Protocol_value[strings.ToUpper(text)]
		if !ok {
			return nil, inventory.Bad("filter", "there is no protocol %.100q. Use SSH, POSTGRES, TCP or KUBERNETES", text)
		}
		keep = both(keep, func(name string) bool { return known.Protocol(name) == uint8(protocol) })
	}
	if text := f["blocked"]; text != "" {
		want, err := boolean("blocked", text)
		if err != nil {
			return nil, err
		}
		on := !known.FreezeUntil(s.now()).IsZero()
		keep = both(keep, func(name string) bool { return (on && len(known.BlockingGroups(name)) > 0) == want })
	}
	return keep, nil
}

func boolean(key, text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, inventory.Bad("filter", "%s is true or false, not %.100q", key, text)
	}
	return text == "true", nil
}

func both(a, b func(string) bool) func(string) bool {
	return func(name string) bool { return a(name) && b(name) }
}

// devices reads the records of a page. One that went meanwhile is left out.
func (s *Service) devices(ctx context.Context, names []string) ([]*gatev1.Device, error) {
	all := make([]*gatev1.Device, len(names))
	err := each(ctx, names, func(ctx context.Context, i int, name string) error {
		r, _, err := s.deviceRecord(ctx, name)
		if err == nil && r != nil && !r.GetDeleted() {
			all[i] = s.shown(r.GetDevice())
		}
		return err
	})
	return slices.DeleteFunc(all, func(d *gatev1.Device) bool { return d == nil }), err
}

func each(ctx context.Context, names []string, do func(ctx context.Context, i int, name string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(reads)
	for i, name := range names {
		g.Go(func() error { return do(ctx, i, name) })
	}
	return g.Wait()
}

// ListAccessGroups lists groups by name.
func (s *Service) ListAccessGroups(ctx context.Context, r *gatev1.ListAccessGroupsRequest) (*gatev1.ListAccessGroupsResponse, error) {
	f, err := parseFilter(r.GetFilter(), "name", "user", "device", "blockDuringFreezes")
	if err != nil {
		return nil, err
	}
	after, err := pageAfter(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	known := s.snapshot()
	keep, err := groupFilter(f, known)
	if err != nil {
		return nil, err
	}
	names, next := page(slices.Values(known.Groups()), r.GetPageSize(), after, keep)
	all := make([]*gatev1.AccessGroup, len(names))
	err = each(ctx, names, func(ctx context.Context, i int, name string) error {
		record, _, err := s.groupRecord(ctx, name)
		if err == nil && record != nil && !record.GetDeleted() {
			all[i], err = shownGroup(record.GetAccessGroup(), nil)
		}
		if all[i] != nil && r.GetView() == gatev1.ListAccessGroupsRequest_BASIC {
			all[i].Users, all[i].Devices = nil, nil
		}
		return err
	})
	all = slices.DeleteFunc(all, func(g *gatev1.AccessGroup) bool { return g == nil })
	return &gatev1.ListAccessGroupsResponse{AccessGroups: all, NextPageToken: next}, err
}

func groupFilter(f filter, known *emergency.Snapshot) (func(string) bool, error) {
	keep := f.name
	for key, of := range map[string]func(string) []string{"user": known.GroupsOfUser, "device": known.GroupsOfDevice} {
		if name := f[key]; name != "" {
			in := of(name)
			keep = both(keep, func(group string) bool { return slices.Contains(in, group) })
		}
	}
	if text := f["blockDuringFreezes"]; text != "" {
		want, err := boolean("blockDuringFreezes", text)
		if err != nil {
			return nil, err
		}
		blocking := known.FrozenGroups()
		keep = both(keep, func(group string) bool { return slices.Contains(blocking, group) == want })
	}
	return keep, nil
}

// ListMembers tells which devices are in the named groups now.
func (s *Service) ListMembers(_ context.Context, r *gatev1.ListMembersRequest) (*gatev1.ListMembersResponse, error) {
	known := s.snapshot()
	var devices []string
	for _, group := range r.GetAccessGroups() {
		devices = append(devices, known.GroupDevices(group)...)
	}
	slices.Sort(devices)
	return &gatev1.ListMembersResponse{Devices: slices.Compact(devices)}, nil
}

// FilterUsers tells who of some users has access, through an access group, to any of the devices meant.
func (s *Service) FilterUsers(_ context.Context, r *gatev1.FilterUsersRequest) (*gatev1.FilterUsersResponse, error) {
	known := s.snapshot()
	leads := leading(known, r)
	answer := new(gatev1.FilterUsersResponse)
	for _, user := range r.GetUsers() {
		if slices.ContainsFunc(known.GroupsOfUser(user), func(group string) bool { return leads[group] }) {
			answer.Users = append(answer.Users, user)
		}
	}
	return answer, nil
}

// leading are the groups that lead to any of the devices meant: who may reach a frozen device by another group
// is concerned too. A disabled group leads nowhere.
func leading(known *emergency.Snapshot, r *gatev1.FilterUsersRequest) map[string]bool {
	leads := map[string]bool{}
	lead := func(devices []string) {
		for _, device := range devices {
			for _, group := range known.DeviceGroups(device) {
				leads[group] = true
			}
		}
	}
	groups := r.GetAccessGroups()
	if r.GetFrozen() {
		groups = append(slices.Clone(groups), known.FrozenGroups()...)
	}
	for _, group := range groups {
		lead(known.GroupDevices(group))
	}
	lead(r.GetDevices())
	if r.GetAll() {
		for _, group := range known.Groups() {
			lead(known.GroupDevices(group)[:min(1, len(known.GroupDevices(group)))])
		}
	}
	return leads
}

// ListFrozen tells what a freeze closes now: all of it, or for each of some users what they could reach otherwise.
func (s *Service) ListFrozen(_ context.Context, r *gatev1.ListFrozenRequest) (*gatev1.ListFrozenResponse, error) {
	known, most := s.snapshot(), int(r.GetNames())
	blocking := known.FrozenGroups()
	if len(r.GetUsers()) == 0 {
		return &gatev1.ListFrozenResponse{Frozen: []*gatev1.Frozen{frozen(known.FrozenDevices(""), blocking, most)}}, nil
	}
	answer := new(gatev1.ListFrozenResponse)
	alike := map[string]*gatev1.Frozen{} // who is in the same groups reaches the same
	for _, user := range r.GetUsers() {
		groups := known.GroupsOfUser(user)
		key := strconv.FormatBool(known.HasUser(user)) + strings.Join(groups, "\x00")
		if alike[key] == nil {
			own := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return !slices.Contains(blocking, g) })
			alike[key] = frozen(known.FrozenDevices(user), own, most)
		}
		one := proto.CloneOf(alike[key])
		one.User = user
		answer.Frozen = append(answer.Frozen, one)
	}
	return answer, nil
}

func frozen(devices, groups []string, most int) *gatev1.Frozen {
	return &gatev1.Frozen{
		Devices: devices[:min(most, len(devices))], DeviceCount: uint32(len(devices)),
		AccessGroups: groups[:min(most, len(groups))], AccessGroupCount: uint32(len(groups)),
	}
}
