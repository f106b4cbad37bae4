package gate

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/watch"
)

// groupsAtOnce bounds how many groups one edit takes a device out of, below what a batch holds.
const groupsAtOnce = 900

// CreateDevice makes a device.
func (s *Service) CreateDevice(ctx context.Context, r *gatev1.CreateDeviceRequest) (*gatev1.Device, error) {
	op, err := operationOf(r.GetDevice().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	d := onlyInput(r.GetDevice())
	if err := inventory.CheckDevice(d); err != nil {
		return nil, err
	}
	d.CreateTime = timestamppb.New(s.now())
	err = s.change(ctx, op, func(e *edit) error {
		before, err := e.device(d.GetName())
		if err != nil {
			return err
		}
		if done, err := op.among(before.GetOperations()); done || err != nil {
			d = before.GetDevice()
			return err
		}
		if err := e.claim(watch.DeviceSubject + d.GetName()); err != nil {
			return err
		}
		if before != nil && !before.GetDeleted() {
			return fault.New(fault.AlreadyExists, "There is a device %s already. Change that one, or take another name", d.GetName()).With("field", "name")
		}
		return e.putDevice(d.GetName(), &gatev1.DeviceRecord{Device: d, Operations: before.GetOperations()})
	})
	if err != nil {
		return nil, err
	}
	return s.shown(d), nil
}

// onlyInput is what a caller may say of a device.
func onlyInput(d *gatev1.Device) *gatev1.Device {
	d = proto.CloneOf(d)
	d.RequestId, d.CredentialSet, d.CreateTime, d.AccessGroups, d.HostKeyFingerprint = nil, false, nil, nil, ""
	return d
}

// shown is a device with what is derived.
func (s *Service) shown(d *gatev1.Device) *gatev1.Device {
	d = proto.CloneOf(d)
	d.AccessGroups = s.snapshot().DeviceGroups(d.GetName())
	d.HostKeyFingerprint = inventory.Fingerprint(d.GetHostKey())
	return d
}

func noDevice(name string) error {
	return fault.New(fault.NotFound, "There is no device %.140q. Check the name", name)
}

// GetDevice answers one device.
func (s *Service) GetDevice(ctx context.Context, r *gatev1.GetDeviceRequest) (*gatev1.Device, error) {
	if !inventory.ValidName(r.GetName()) {
		return nil, inventory.BadName("name")
	}
	record, _, err := s.deviceRecord(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	if record == nil || record.GetDeleted() {
		return nil, noDevice(r.GetName())
	}
	return s.shown(record.GetDevice()), nil
}

// UpdateDevice changes the fields that the mask names.
func (s *Service) UpdateDevice(ctx context.Context, r *gatev1.UpdateDeviceRequest) (*gatev1.Device, error) {
	op, err := operationOf(r.GetDevice().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	return s.reshape(ctx, op, r.GetDevice().GetName(), func(d *gatev1.Device) error {
		if err := inventory.Merge(d, r.GetDevice(), r.GetUpdateMask()); err != nil {
			return err
		}
		return inventory.CheckDevice(d)
	})
}

// moved reports whether a device with a credential is somewhere else afterwards, or somebody else. Its
// credential must not be shown there. A host key where there was none moves nothing, for nobody got in without.
func moved(before, after *gatev1.Device) bool {
	anotherPlace := before.GetHost() != after.GetHost() || before.GetPort() != after.GetPort()
	anotherProof := before.GetProtocol() != after.GetProtocol() || before.GetServerCa() != after.GetServerCa() ||
		before.GetHostKey() != "" && before.GetHostKey() != after.GetHostKey()
	return before.GetCredentialSet() && (anotherPlace || anotherProof)
}

// reshape changes a device that is there. One that is moved loses its credential.
func (s *Service) reshape(ctx context.Context, op operation, name string, change func(*gatev1.Device) error) (*gatev1.Device, error) {
	if !inventory.ValidName(name) {
		return nil, inventory.BadName("name")
	}
	var after *gatev1.Device
	err := s.change(ctx, op, func(e *edit) error {
		before, err := e.device(name)
		if err != nil {
			return err
		}
		after = before.GetDevice()
		if done, err := op.among(before.GetOperations()); done || err != nil {
			return err
		}
		if before == nil || before.GetDeleted() {
			return noDevice(name)
		}
		after = proto.CloneOf(before.GetDevice())
		if err := change(after); err != nil {
			return err
		}
		if proto.Equal(after, before.GetDevice()) {
			return nil
		}
		if moved(before.GetDevice(), after) {
			after.CredentialSet = false
			if err := s.dropCredential(ctx, name); err != nil {
				return err
			}
		}
		return e.putDevice(name, &gatev1.DeviceRecord{Device: after, Operations: before.GetOperations()})
	})
	if err != nil {
		return nil, err
	}
	return s.shown(after), nil
}

// DeleteDevice takes a device out of its groups and forgets its credential.
func (s *Service) DeleteDevice(ctx context.Context, r *gatev1.DeleteDeviceRequest) (*emptypb.Empty, error) {
	if !inventory.ValidName(r.GetName()) {
		return nil, inventory.BadName("name")
	}
	op, err := operationOf("", r)
	if err != nil {
		return nil, err
	}
	if _, err := s.GetDevice(ctx, &gatev1.GetDeviceRequest{Name: r.GetName()}); err != nil {
		return nil, err
	}
	// First, so that no crash leaves it to another device of that name.
	if err := s.dropCredential(ctx, r.GetName()); err != nil {
		return nil, err
	}
	for more := true; more; {
		err := s.change(ctx, op, func(e *edit) (err error) {
			more, err = e.deleteDevice(r.GetName())
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return &emptypb.Empty{}, nil
}

// deleteDevice reports whether there are more groups to take it out of first.
func (e *edit) deleteDevice(name string) (more bool, err error) {
	before, err := e.device(name)
	if err != nil {
		return false, err
	}
	if done, err := e.operation.among(before.GetOperations()); done || err != nil {
		return false, err
	}
	if before == nil || before.GetDeleted() {
		return false, noDevice(name)
	}
	groups := e.known.GroupsOfDevice(name)
	if len(groups) > groupsAtOnce {
		groups, more = groups[:groupsAtOnce], true
	}
	for _, group := range groups {
		if err := e.leave(group, "", name); err != nil {
			return more, err
		}
	}
	if more {
		return true, nil
	}
	return false, e.putDevice(name, &gatev1.DeviceRecord{Device: before.GetDevice(), Deleted: true, Operations: before.GetOperations()})
}

// ResolveDevice tells the bastion where a device is.
func (s *Service) ResolveDevice(ctx context.Context, r *gatev1.ResolveDeviceRequest) (*gatev1.Device, error) {
	return s.GetDevice(ctx, &gatev1.GetDeviceRequest{Name: r.GetName()})
}
