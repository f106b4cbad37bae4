package main

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// The directory that decisions are measured on: as many devices as asked for, each in one of 64 groups
// of which every other blocks during freezes, while a freeze is on and a lockdown is to come.
const groups = 64

var (
	now   = time.Now()
	begin = now.Add(-time.Hour)
	end   = now.Add(24 * time.Hour)
)

func deviceName(i int) string { return fmt.Sprintf("device-%08d", i) }
func groupName(i int) string  { return fmt.Sprintf("group-%d", i) }

// people are one of each kind: a user of all groups, one of half of them, an administrator, one disabled.
var people = []struct {
	name                    string
	everyGroup              int
	administrator, disabled bool
}{
	{"alice", 1, false, false}, {"bruno", 2, false, false}, {"root", 1, true, false}, {"gone", 1, false, true},
}

func members(group int) []string {
	var names []string
	for _, p := range people {
		if group%(2*p.everyGroup) < 2 {
			names = append(names, p.name)
		}
	}
	return names
}

func window(id string, kind emergencyv1.Emergency_Kind, from, to time.Time) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{
		Id: id, Kind: kind, StartTime: timestamppb.New(from), EndTime: timestamppb.New(to),
		CreateTime: timestamppb.New(begin), CutoffRevision: "1-1", Started: !from.After(now),
	}
}

func builder(devices int) *emergency.Builder {
	b := emergency.NewBuilder()
	for _, p := range people {
		b.PutUser(p.name, p.administrator, p.disabled)
	}
	in := make([][]string, groups)
	for i := range devices {
		name := deviceName(i)
		b.PutDevice(name, false)
		in[i%groups] = append(in[i%groups], name)
	}
	for g := range groups {
		b.PutGroup(groupName(g), members(g), in[g], g%2 == 0)
	}
	b.PutEmergency(window("F-0002", emergencyv1.Emergency_FREEZE, begin, end))
	b.PutEmergency(window("L-0003", emergencyv1.Emergency_LOCKDOWN, end.Add(-time.Hour), end))
	b.SetRevision(emergency.Revision{Epoch: 1, Sequence: 3})
	return b
}

// data is the same directory as OPA reads it.
func data(devices int) map[string]any {
	users, groupsOf, all := map[string]any{}, map[string]any{}, map[string]any{}
	for _, p := range people {
		users[p.name] = map[string]any{"administrator": p.administrator, "disabled": p.disabled}
	}
	for g := range groups {
		in := map[string]any{}
		for _, name := range members(g) {
			in[name] = true
		}
		groupsOf[groupName(g)] = map[string]any{"users": in, "blockDuringFreezes": g%2 == 0}
	}
	for i := range devices {
		all[deviceName(i)] = map[string]any{"groups": []any{groupName(i % groups)}, "disabled": false}
	}
	when := func(from, to time.Time) []any {
		return []any{map[string]any{"start": from.Unix(), "end": to.Unix(), "breakGlassUsers": map[string]any{}}}
	}
	return map[string]any{
		"users": users, "groups": groupsOf, "devices": all,
		"freezes": when(begin, end), "lockdowns": when(end.Add(-time.Hour), end),
	}
}
