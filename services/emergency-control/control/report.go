package control

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
func (s *Service) GetTermination(_ context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(r.GetId(), emergencyv1.Emergency_TERMINATION)
}

// GetFreeze answers a freeze with its status now, and with how far it is if it ends sessions.
func (s *Service) GetFreeze(_ context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(r.GetId(), emergencyv1.Emergency_FREEZE)
}

// GetLockdown answers a lockdown with its status now and how far it is.
func (s *Service) GetLockdown(_ context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(r.GetId(), emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) get(id string, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	e := s.ledger.record(id)
	if e == nil || e.GetKind() != kind {
		return nil, unknown(id, kind)
	}
	return s.shown(e), nil
}

// ListTerminations lists newest first.
func (s *Service) ListTerminations(_ context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListTerminationsResponse, error) {
	page, next, err := s.list(r, emergencyv1.Emergency_TERMINATION)
	return &emergencyv1.ListTerminationsResponse{Terminations: page, NextPageToken: next}, err
}

// ListFreezes lists newest first.
func (s *Service) ListFreezes(_ context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListFreezesResponse, error) {
	page, next, err := s.list(r, emergencyv1.Emergency_FREEZE)
	return &emergencyv1.ListFreezesResponse{Freezes: page, NextPageToken: next}, err
}

// ListLockdowns lists newest first.
func (s *Service) ListLockdowns(_ context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListLockdownsResponse, error) {
	page, next, err := s.list(r, emergencyv1.Emergency_LOCKDOWN)
	return &emergencyv1.ListLockdownsResponse{Lockdowns: page, NextPageToken: next}, err
}

func (s *Service) list(r *emergencyv1.ListEmergenciesRequest, kind emergencyv1.Emergency_Kind) ([]*emergencyv1.Emergency, string, error) {
	wanted, err := parseFilter(r.GetFilter(), "status", "createdBy")
	if err != nil {
		return nil, "", err
	}
	if status, ok := wanted["status"]; ok && emergencyv1.Emergency_Status_value[status] == 0 {
		return nil, "", fault.New(fault.InvalidArgument, "There is no status %q. Use PENDING, ONGOING, ENDED or CANCELLED; RUNNING, DONE or PARTIAL for terminations", status).With("field", "filter")
	}
	var all []*emergencyv1.Emergency
	for _, e := range s.ledger.ofKind(kind) {
		e = s.shown(e)
		if status, ok := wanted["status"]; ok && e.GetStatus().String() != status {
			continue
		}
		if by, ok := wanted["createdBy"]; ok && e.GetCreatedBy() != by {
			continue
		}
		all = append(all, e)
	}
	return pageOf(all, r.GetPageSize(), r.GetPageToken(), func(e *emergencyv1.Emergency) uint64 { return first(e).Sequence })
}

// first is the revision of an emergency's first entry.
func first(e *emergencyv1.Emergency) emergency.Revision {
	r, err := emergency.ParseRevision(e.GetCutoffRevision())
	if err != nil {
		return emergency.Revision{}
	}
	return r
}

// latest is the revision of an emergency's latest entry.
func latest(e *emergencyv1.Emergency) emergency.Revision {
	r, err := emergency.ParseRevision(e.GetRevision())
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

// pageOf cuts a page out of a list that is sorted by falling sequence.
func pageOf[T any](all []T, size int32, token string, sequence func(T) uint64) ([]T, string, error) {
	below, err := parsePageToken(token)
	if err != nil {
		return nil, "", err
	}
	start := 0
	if below > 0 {
		start, _ = slices.BinarySearchFunc(all, below, func(e T, at uint64) int {
			if sequence(e) >= at {
				return -1
			}
			return 1
		})
	}
	page := all[start:]
	limit := pageSize(size)
	if len(page) <= limit {
		return page, "", nil
	}
	return page[:limit], pageToken(sequence(page[limit-1])), nil
}

func pageSize(asked int32) int {
	if asked <= 0 {
		return defaultPage
	}
	return min(int(asked), maxPage)
}

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
	return 0, fault.New(fault.InvalidArgument, "This pageToken is not one of ours. Start again without it").With("field", "pageToken")
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
		s.receipts.progress(e, now)
	}
	return e
}

// ListFreezeDevices lists what a freeze blocks by the directory of now, or, once it is over, by the
// directory as it was then.
func (s *Service) ListFreezeDevices(ctx context.Context, r *emergencyv1.ListFreezeDevicesRequest) (*emergencyv1.ListFreezeDevicesResponse, error) {
	e, err := s.get(r.GetId(), emergencyv1.Emergency_FREEZE)
	if err != nil {
		return nil, err
	}
	if e.GetStatus() == emergencyv1.Emergency_CANCELLED && !e.GetStarted() {
		return &emergencyv1.ListFreezeDevicesResponse{}, nil // it never blocked anything
	}
	snapshot := s.watch.State().Emergency
	if over := e.GetStatus() == emergencyv1.Emergency_ENDED || e.GetStatus() == emergencyv1.Emergency_CANCELLED; over && e.GetDirectorySequence() > 0 {
		if snapshot, err = s.directoryAt(ctx, e.GetDirectorySequence()); err != nil {
			return nil, fmt.Errorf("telling what %s blocked: %w", e.GetId(), err)
		}
	}
	names := snapshot.FrozenDevices("")
	if r.GetPageToken() != "" {
		raw, err := base64.RawURLEncoding.DecodeString(r.GetPageToken())
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "This pageToken is not one of ours. Start again without it").With("field", "pageToken")
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
