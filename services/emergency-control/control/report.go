package control

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// GetTermination answers a termination with how far it is.
func (s *Service) GetTermination(ctx context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(ctx, r.GetId(), emergencyv1.Emergency_TERMINATION)
}

// GetFreeze answers a freeze with its status now, what it blocks, and how far it is if it ends sessions.
func (s *Service) GetFreeze(ctx context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	e, err := s.get(ctx, r.GetId(), emergencyv1.Emergency_FREEZE)
	if err == nil {
		s.tryBlocked(ctx, []*emergencyv1.Emergency{e})
	}
	return e, err
}

// GetLockdown answers a lockdown with its status now and how far it is.
func (s *Service) GetLockdown(ctx context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(ctx, r.GetId(), emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) get(ctx context.Context, id string, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	s.arrive(ctx, id)
	e := s.ledger.record(id)
	if e == nil || e.GetKind() != kind {
		return nil, unknown(id, kind)
	}
	return s.shown(e), nil
}

// ListTerminations lists newest first, or as it is asked to.
func (s *Service) ListTerminations(ctx context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListTerminationsResponse, error) {
	l, err := s.list(ctx, r, emergencyv1.Emergency_TERMINATION)
	return &emergencyv1.ListTerminationsResponse{Terminations: l.page, NextPageToken: l.next, StatusCounts: l.counts, People: l.people}, err
}

// ListFreezes lists newest first, or as it is asked to.
func (s *Service) ListFreezes(ctx context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListFreezesResponse, error) {
	l, err := s.list(ctx, r, emergencyv1.Emergency_FREEZE)
	return &emergencyv1.ListFreezesResponse{Freezes: l.page, NextPageToken: l.next, StatusCounts: l.counts, People: l.people}, err
}

// ListLockdowns lists newest first, or as it is asked to.
func (s *Service) ListLockdowns(ctx context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListLockdownsResponse, error) {
	l, err := s.list(ctx, r, emergencyv1.Emergency_LOCKDOWN)
	return &emergencyv1.ListLockdownsResponse{Lockdowns: l.page, NextPageToken: l.next, StatusCounts: l.counts, People: l.people}, err
}

type listing struct {
	page   []*emergencyv1.Emergency
	next   string
	counts map[string]uint32
	people []string
}

func (s *Service) list(ctx context.Context, r *emergencyv1.ListEmergenciesRequest, kind emergencyv1.Emergency_Kind) (listing, error) {
	n, err := parseNarrowing(r, kind)
	if err != nil {
		return listing{}, err
	}
	last, err := parsePageToken(r.GetPageToken())
	if err != nil {
		return listing{}, err
	}
	l := listing{counts: map[string]uint32{}}
	all := s.ledger.ofKind(kind)
	for i, e := range all {
		all[i] = s.shown(e)
		l.people = append(l.people, e.GetCreatedBy())
	}
	slices.Sort(l.people)
	l.people = slices.Compact(l.people)
	if n.group != "" || n.byBlocked {
		if err := s.sayBlocked(ctx, all); err != nil {
			return listing{}, err
		}
	}
	slices.SortStableFunc(all, n.order)
	limit, reached := pageSize(r.GetPageSize()), last == 0
	for _, e := range all {
		if n.keeps(e) && (n.group == "" || s.blocked.by(e, n.group)) {
			l.counts[e.GetStatus().String()]++
			switch {
			case !reached || n.status != "" && e.GetStatus().String() != n.status:
			case len(l.page) < limit:
				l.page = append(l.page, e)
			case l.next == "":
				l.next = pageToken(first(l.page[limit-1]).Sequence)
			}
		}
		reached = reached || first(e).Sequence == last
	}
	if !reached {
		return listing{}, strangeToken()
	}
	s.tryBlocked(ctx, l.page)
	return l, nil
}

// narrowing is what a list is narrowed by, and its order.
type narrowing struct {
	status, by, group string
	since, until      time.Time
	words             []string
	order             func(a, b *emergencyv1.Emergency) int
	byBlocked         bool
}

func parseNarrowing(r *emergencyv1.ListEmergenciesRequest, kind emergencyv1.Emergency_Kind) (narrowing, error) {
	keys := []string{"status", "createdBy", "since", "until"}
	if kind == emergencyv1.Emergency_FREEZE {
		keys = append(keys, "accessGroup")
	}
	wanted, err := parseFilter(r.GetFilter(), keys...)
	if err != nil {
		return narrowing{}, err
	}
	n := narrowing{status: wanted["status"], by: wanted["createdBy"], group: wanted["accessGroup"], words: strings.Fields(strings.ToLower(r.GetQuery()))}
	if n.status != "" && emergencyv1.Emergency_Status_value[n.status] == 0 {
		return n, fault.New(fault.InvalidArgument, "There is no status %q. Use PENDING, ONGOING, ENDED or CANCELLED; RUNNING, DONE or PARTIAL for terminations", n.status).With("field", "filter")
	}
	for key, at := range map[string]*time.Time{"since": &n.since, "until": &n.until} {
		if text := wanted[key]; text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return n, fault.New(fault.InvalidArgument, "%s=%s is not a moment: use RFC 3339, for instance 2026-11-22T03:00:00Z", key, text).With("field", "filter")
			}
		}
	}
	name, descends := strings.CutSuffix(r.GetOrderBy(), " desc")
	order, known := orders[name]
	if !known {
		return n, fault.New(fault.InvalidArgument, "A list can't be ordered by %.64q. Use %s, or each of them with desc behind it", r.GetOrderBy(),
			strings.Join(slices.Sorted(maps.Keys(orders))[1:], ", ")).With("field", "orderBy")
	}
	n.byBlocked, n.order = name == "blockedDevices", order
	if descends {
		n.order = func(a, b *emergencyv1.Emergency) int { return order(b, a) }
	}
	return n, nil
}

// keeps reports whether a list shows an emergency, whatever its status.
func (n narrowing) keeps(e *emergencyv1.Emergency) bool {
	end, endless := e.GetEndTime(), e.GetEndTime() == nil && window(e)
	if end == nil {
		end = e.GetStartTime()
	}
	if n.by != "" && e.GetCreatedBy() != n.by || !n.until.IsZero() && !e.GetStartTime().AsTime().Before(n.until) || !endless && end.AsTime().Before(n.since) {
		return false
	}
	if len(n.words) == 0 {
		return true
	}
	sel := e.GetSelector()
	text := strings.ToLower(strings.Join(slices.Concat([]string{
		e.GetId(), e.GetCreatedBy(), e.GetCancelledBy(), e.GetJustification(), e.GetCancelJustification(), e.GetGovernanceCode(), e.GetCancelGovernanceCode(),
	}, sel.GetUsers(), sel.GetDevices(), sel.GetAccessGroups(), sel.GetConnectors(), sel.GetProtocols()), "\n"))
	return !slices.ContainsFunc(n.words, func(word string) bool { return !strings.Contains(text, word) })
}

// orders are what lists can be ordered by. What is equal stays newest first.
var orders = map[string]func(a, b *emergencyv1.Emergency) int{
	"": func(_, _ *emergencyv1.Emergency) int { return 0 },
	"status": func(a, b *emergencyv1.Emergency) int {
		if by := cmp.Compare(rank(a), rank(b)); by != 0 || a.GetStatus() != emergencyv1.Emergency_PENDING {
			return by
		}
		return a.GetStartTime().AsTime().Compare(b.GetStartTime().AsTime())
	},
	"startTime": func(a, b *emergencyv1.Emergency) int {
		return a.GetStartTime().AsTime().Compare(b.GetStartTime().AsTime())
	},
	"endTime": func(a, b *emergencyv1.Emergency) int {
		if endless := cmp.Compare(count(a.GetEndTime() == nil), count(b.GetEndTime() == nil)); endless != 0 {
			return endless
		}
		return a.GetEndTime().AsTime().Compare(b.GetEndTime().AsTime())
	},
	"createdBy": func(a, b *emergencyv1.Emergency) int { return cmp.Compare(a.GetCreatedBy(), b.GetCreatedBy()) },
	"governanceCode": func(a, b *emergencyv1.Emergency) int {
		return cmp.Compare(a.GetGovernanceCode(), b.GetGovernanceCode())
	},
	"justification": func(a, b *emergencyv1.Emergency) int {
		return cmp.Compare(strings.ToLower(a.GetJustification()), strings.ToLower(b.GetJustification()))
	},
	"ended": func(a, b *emergencyv1.Emergency) int { return cmp.Compare(a.GetEnded(), b.GetEnded()) },
	"blockedDevices": func(a, b *emergencyv1.Emergency) int {
		return cmp.Compare(a.GetBlockedDevices(), b.GetBlockedDevices())
	},
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// rank puts first what is on, then what is to come.
func rank(e *emergencyv1.Emergency) int {
	switch e.GetStatus() {
	case emergencyv1.Emergency_ONGOING, emergencyv1.Emergency_RUNNING:
		return 0
	case emergencyv1.Emergency_PENDING:
		return 1
	}
	return 2
}

// first is the revision of an emergency's first entry.
func first(e *emergencyv1.Emergency) emergency.Revision {
	r, err := emergency.ParseRevision(e.GetCutoffRevision())
	if err != nil {
		return emergency.Revision{}
	}
	return r
}

func (l *ledger) ofKind(kind emergencyv1.Emergency_Kind) []*emergencyv1.Emergency {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*emergencyv1.Emergency
	for _, e := range l.records {
		if e.GetKind() == kind {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *emergencyv1.Emergency) int { return cmp.Compare(first(b).Sequence, first(a).Sequence) })
	return all
}

func pageSize(asked int32) int {
	if asked <= 0 {
		return defaultPage
	}
	return min(int(asked), maxPage)
}

// pageToken names the last one of a page by its sequence.
func pageToken(below uint64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendUint(nil, below, 10))
}

func parsePageToken(token string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		var below uint64
		if below, err = strconv.ParseUint(string(raw), 10, 64); err == nil && below > 0 {
			return below, nil
		}
	}
	return 0, strangeToken()
}

func strangeToken() error {
	return fault.New(fault.InvalidArgument, "This pageToken is not one of ours. Start again without it").With("field", "pageToken")
}

// parseFilter reads "key=value AND key=value" of the keys that there are.
func parseFilter(filter string, keys ...string) (map[string]string, error) {
	wanted := map[string]string{}
	if strings.TrimSpace(filter) == "" {
		return wanted, nil
	}
	for condition := range strings.SplitSeq(filter, " AND ") {
		key, value, ok := strings.Cut(strings.TrimSpace(condition), "=")
		if !ok || !slices.Contains(keys, key) {
			return nil, fault.New(fault.InvalidArgument, "The filter %q can't be read. Write key=value, joined by AND; the keys are %s", filter, strings.Join(keys, ", ")).With("field", "filter")
		}
		wanted[key] = strings.Trim(value, `"`)
	}
	return wanted, nil
}

// shown is a record as it is answered: with its status now, and how far it is if it ends sessions and has
// started.
func (s *Service) shown(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	e = proto.CloneOf(e)
	now := s.now()
	e.Status = emergency.StatusOf(e, now)
	if _, cuts := emergency.CutOf(e); cuts && e.GetStatus() != emergencyv1.Emergency_PENDING {
		s.receipts.Progress(e, now)
	}
	return e
}

// ListFreezeDevices lists what a freeze blocks by the directory of now, or, once it is over, by the
// directory as it was then.
func (s *Service) ListFreezeDevices(ctx context.Context, r *emergencyv1.ListFreezeDevicesRequest) (*emergencyv1.ListFreezeDevicesResponse, error) {
	e, err := s.get(ctx, r.GetId(), emergencyv1.Emergency_FREEZE)
	if err != nil {
		return nil, err
	}
	snapshot := s.watch.State().Emergency
	switch sequence, ever := toldBy(e); {
	case !ever:
		return &emergencyv1.ListFreezeDevicesResponse{}, nil
	case sequence > 0:
		if snapshot, err = s.directoryAt(ctx, sequence); err != nil {
			return nil, fmt.Errorf("telling what %s blocked: %w", e.GetId(), err)
		}
	}
	names := snapshot.FrozenDevices("")
	if r.GetPageToken() != "" {
		raw, err := base64.RawURLEncoding.DecodeString(r.GetPageToken())
		if err != nil {
			return nil, strangeToken()
		}
		at, found := slices.BinarySearch(names, string(raw))
		if found {
			at++
		}
		names = names[at:]
	}
	response := &emergencyv1.ListFreezeDevicesResponse{}
	if limit := pageSize(r.GetPageSize()); len(names) > limit {
		names = names[:limit]
		response.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	for _, name := range names {
		response.Devices = append(response.Devices, &emergencyv1.FrozenDevice{Name: name, AccessGroups: snapshot.BlockingGroups(name)})
	}
	return response, nil
}

const directoryPatience = 30 * time.Second

// toldBy is the sequence of the directory by which one tells what a freeze blocks, 0 for the directory of
// now; ever is false if it never blocked anything.
func toldBy(e *emergencyv1.Emergency) (sequence uint64, ever bool) {
	switch e.GetStatus() {
	case emergencyv1.Emergency_CANCELLED:
		return e.GetDirectorySequence(), e.GetStarted()
	case emergencyv1.Emergency_ENDED:
		return e.GetDirectorySequence(), true
	}
	return 0, true
}

// blocks is what freezes close by one state of the directory.
type blocks struct {
	devices uint32
	groups  []string
}

func blocksOf(s *emergency.Snapshot) blocks {
	return blocks{devices: uint32(len(s.FrozenDevices(""))), groups: s.FrozenGroups()}
}

// blocked keeps what was told of the past, which doesn't change, and of the present.
type blocked struct {
	mu      sync.Mutex
	present *emergency.Snapshot
	told    map[uint64]blocks // 0 is the present
}

// of answers what is known of a freeze.
func (b *blocked) of(e *emergencyv1.Emergency) (told blocks, known bool) {
	sequence, ever := toldBy(e)
	if !ever {
		return blocks{}, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	told, known = b.told[sequence]
	return told, known
}

// by reports whether a group is among those that close devices during a freeze.
func (b *blocked) by(e *emergencyv1.Emergency, group string) bool {
	told, _ := b.of(e)
	return slices.Contains(told.groups, group)
}

const (
	rememberedDirectories = 4096
	listPatience          = 3 * time.Second
)

// lacks prepares for the freezes, and answers the sequences that have to be told first, in rising order.
func (b *blocked) lacks(freezes []*emergencyv1.Emergency, present *emergency.Snapshot) []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told == nil || len(b.told) > rememberedDirectories {
		b.told, b.present = map[uint64]blocks{}, nil
	}
	if b.present != present {
		b.told[0], b.present = blocksOf(present), present
	}
	var lacking []uint64
	for _, e := range freezes {
		sequence, ever := toldBy(e)
		if _, known := b.told[sequence]; ever && !known {
			lacking = append(lacking, sequence)
		}
	}
	slices.Sort(lacking)
	return slices.Compact(lacking)
}

// sayBlocked fills in how much each of the freezes among them blocks, or blocked, as far as it can be told.
func (s *Service) sayBlocked(ctx context.Context, all []*emergencyv1.Emergency) error {
	freezes := slices.DeleteFunc(slices.Clone(all), func(e *emergencyv1.Emergency) bool { return e.GetKind() != emergencyv1.Emergency_FREEZE })
	if len(freezes) == 0 {
		return nil
	}
	err := s.recall(ctx, s.blocked.lacks(freezes, s.watch.State().Emergency))
	for _, e := range freezes {
		if told, known := s.blocked.of(e); known {
			e.BlockedDevices, e.BlockedAccessGroups = new(told.devices), new(uint32(len(told.groups)))
		}
	}
	return err
}

func (s *Service) recall(ctx context.Context, lacking []uint64) error {
	if len(lacking) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	err := s.watch.DirectoriesAt(ctx, lacking, func(sequence uint64, then *emergency.Snapshot) {
		told := blocksOf(then)
		s.blocked.mu.Lock()
		defer s.blocked.mu.Unlock()
		s.blocked.told[sequence] = told
	})
	if err != nil {
		return fmt.Errorf("telling what freezes blocked: %w", err)
	}
	return nil
}

// tryBlocked does the same where an answer without it is one too.
func (s *Service) tryBlocked(ctx context.Context, all []*emergencyv1.Emergency) {
	if err := s.sayBlocked(ctx, all); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "what freezes blocked can't be told", "error", err)
	}
}
