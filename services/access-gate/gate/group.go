package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// CreateAccessGroup makes a group of users and devices that exist.
func (s *Service) CreateAccessGroup(ctx context.Context, r *gatev1.CreateAccessGroupRequest) (*gatev1.AccessGroup, error) {
	op, err := operationOf(r.GetAccessGroup().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	g := withoutCall(r.GetAccessGroup())
	if err := inventory.CheckGroup(g); err != nil {
		return nil, err
	}
	g.CreateTime = timestamppb.New(s.now())
	g.UpdatedBy, g.UpdateTime = who.FromContext(ctx).Actor(), g.GetCreateTime()
	err = s.change(ctx, op, func(e *edit) error {
		before, err := e.group(g.GetName())
		if err != nil {
			return err
		}
		if done, err := op.among(before.GetOperations()); done || err != nil {
			g = before.GetAccessGroup()
			return err
		}
		if err := e.claim(watch.GroupSubject + g.GetName()); err != nil {
			return err
		}
		if before != nil && !before.GetDeleted() {
			return fault.New(fault.AlreadyExists, "There is an access group %s already. Change that one, or take another name", g.GetName()).With("field", "name")
		}
		if err := e.members(nil, g); err != nil {
			return err
		}
		return e.putGroup(g.GetName(), &gatev1.AccessGroupRecord{AccessGroup: g, Operations: before.GetOperations()})
	})
	return shownGroup(g, err)
}

// withoutCall is a group without what says something about the call, or is for us to say.
func withoutCall(g *gatev1.AccessGroup) *gatev1.AccessGroup {
	g = proto.CloneOf(g)
	g.Grant, g.RequestId, g.Justification, g.GovernanceCode, g.CreateTime = nil, nil, nil, nil, nil
	g.Etag, g.UpdatedBy, g.UpdateTime, g.UserCount, g.DeviceCount = "", "", nil, 0, 0
	return g
}

// shownGroup is a group with what is derived; nil stays nil.
func shownGroup(g *gatev1.AccessGroup, err error) (*gatev1.AccessGroup, error) {
	if g == nil || err != nil {
		return nil, err
	}
	tag, err := etag(g)
	if err != nil {
		return nil, err
	}
	g = proto.CloneOf(g)
	g.Etag, g.UserCount, g.DeviceCount = tag, int32(len(g.GetUsers())), int32(len(g.GetDevices())) //nolint:gosec // at most 20,000
	return g, nil
}

// etag is a hash of what counts of a group: the sequence of its record won't do, for an import that is
// committed changes what counts and not the record.
func etag(g *gatev1.AccessGroup) (string, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(g)
	if err != nil {
		return "", fmt.Errorf("hashing access group %s: %w", g.GetName(), err)
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:12]), nil
}

// unmoved refuses a change of a group that is no longer as its caller has read it.
func unmoved(g *gatev1.AccessGroup, read string) error {
	now, err := etag(g)
	if err != nil || read == "" || read == now {
		return err
	}
	refusal := fault.New(fault.Aborted, "Access group %s has been changed meanwhile. Read it again, and make your change of that", g.GetName()).
		With("field", "etag").With("etag", now)
	if g.GetUpdatedBy() != "" {
		refusal = refusal.With("updatedBy", g.GetUpdatedBy())
	}
	if at := g.GetUpdateTime(); at != nil {
		refusal = refusal.With("updateTime", at.AsTime().Format(time.RFC3339Nano))
	}
	return refusal
}

// touched says of a group who changes it now.
func (e *edit) touched(g *gatev1.AccessGroup) {
	g.UpdatedBy, g.UpdateTime = who.FromContext(e).Actor(), timestamppb.New(e.service.now())
}

// group reads a group's record as it counts now; nil if there never was one.
func (e *edit) group(name string) (*gatev1.AccessGroupRecord, error) {
	r, at, err := e.service.groupRecord(e, name)
	e.at = max(e.at, at)
	return r, err
}

// members refuses those that are new in a group and don't exist.
func (e *edit) members(before, after *gatev1.AccessGroup) error {
	return joined(before, after, e.known.HasUser, e.known.HasDevice)
}

func joined(before, after *gatev1.AccessGroup, hasUser, hasDevice func(string) bool) error {
	if err := inventory.Unknown("users", "user", added(after.GetUsers(), before.GetUsers()), hasUser); err != nil {
		return err
	}
	return inventory.Unknown("devices", "device", added(after.GetDevices(), before.GetDevices()), hasDevice)
}

// added are the names that weren't there before.
func added(names, before []string) []string {
	was := make(map[string]bool, len(before))
	for _, name := range before {
		was[name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return was[name] })
}

func noGroup(name string) error {
	return fault.New(fault.NotFound, "There is no access group %.140q. Check the name", name)
}

// GetAccessGroup answers one group.
func (s *Service) GetAccessGroup(ctx context.Context, r *gatev1.GetAccessGroupRequest) (*gatev1.AccessGroup, error) {
	if !inventory.ValidName(r.GetName()) {
		return nil, inventory.BadName("name")
	}
	record, _, err := s.groupRecord(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	if record == nil || record.GetDeleted() {
		return nil, noGroup(r.GetName())
	}
	return shownGroup(record.GetAccessGroup(), nil)
}

// UpdateAccessGroup changes the fields that the mask names; lists are replaced. What opens devices that a
// freeze closes takes a grant. An etag is of the group that the caller changes: of no other one.
func (s *Service) UpdateAccessGroup(ctx context.Context, r *gatev1.UpdateAccessGroupRequest) (*gatev1.AccessGroup, error) {
	in := r.GetAccessGroup()
	op, err := operationOf(in.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	backing := &proof{grant: in.GetGrant(), justification: in.GetJustification(), governance: in.GetGovernanceCode(), target: in.GetName()}
	return s.regroup(ctx, op, in.GetName(), func(e *edit, before *gatev1.AccessGroup) (*gatev1.AccessGroup, error) {
		if err := unmoved(before, in.GetEtag()); err != nil {
			return nil, err
		}
		after := proto.CloneOf(before)
		if err := inventory.Merge(after, in, r.GetUpdateMask()); err != nil {
			return nil, err
		}
		if err := inventory.CheckGroup(after); err != nil {
			return nil, err
		}
		if err := e.members(before, after); err != nil {
			return nil, err
		}
		return after, e.openings(regrouping{before, after}).backed(e, backing)
	})
}

// regroup changes a group that is there; a nil one after it deletes it.
func (s *Service) regroup(ctx context.Context, op operation, name string, change func(*edit, *gatev1.AccessGroup) (*gatev1.AccessGroup, error)) (*gatev1.AccessGroup, error) {
	if !inventory.ValidName(name) {
		return nil, inventory.BadName("name")
	}
	var after *gatev1.AccessGroup
	err := s.change(ctx, op, func(e *edit) error {
		before, err := e.group(name)
		if err != nil {
			return err
		}
		after = before.GetAccessGroup()
		if done, err := op.among(before.GetOperations()); done || err != nil {
			return err
		}
		if before == nil || before.GetDeleted() {
			return noGroup(name)
		}
		if after, err = change(e, before.GetAccessGroup()); err != nil || proto.Equal(after, before.GetAccessGroup()) {
			return err
		}
		if after != nil {
			e.touched(after)
		}
		record := &gatev1.AccessGroupRecord{AccessGroup: after, Deleted: after == nil, Operations: before.GetOperations()}
		return e.putGroup(name, record)
	})
	return shownGroup(after, err)
}

// DeleteAccessGroup forgets a group. While a freeze is on, one that closes devices takes a grant.
func (s *Service) DeleteAccessGroup(ctx context.Context, r *gatev1.DeleteAccessGroupRequest) (*emptypb.Empty, error) {
	op, err := operationOf("", r)
	if err != nil {
		return nil, err
	}
	backing := &proof{grant: r.GetGrant(), justification: r.GetJustification(), governance: r.GetGovernanceCode(), target: r.GetName()}
	_, err = s.regroup(ctx, op, r.GetName(), func(e *edit, before *gatev1.AccessGroup) (*gatev1.AccessGroup, error) {
		return nil, e.openings(regrouping{before: before}).backed(e, backing)
	})
	return &emptypb.Empty{}, err
}

// leave takes a user or a device out of a group.
func (e *edit) leave(group, user, device string) error {
	record, err := e.group(group)
	if err != nil || record == nil || record.GetDeleted() {
		return err
	}
	g := record.GetAccessGroup()
	g.Users = slices.DeleteFunc(g.GetUsers(), func(n string) bool { return n == user })
	g.Devices = slices.DeleteFunc(g.GetDevices(), func(n string) bool { return n == device })
	e.touched(g)
	return e.putGroup(group, record)
}
