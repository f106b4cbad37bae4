package broker

import (
	"context"
	"maps"
	"slices"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

const namedAtMost = 1000 // ids in an answer; the count is of all

// CountSelected says what a selector would hit now. Those attached here are counted from what they say;
// the others from the index, and where that has less than the connector says, the connector is named as
// one that could not be asked: unknown is not none.
func (b *Broker) CountSelected(ctx context.Context, r *sessionv1.CountSelectedRequest) (*sessionv1.CountSelectedResponse, error) {
	if emergency.SelectorEmpty(r.GetSelector()) {
		return nil, fault.New(fault.SelectorEmpty, "The selector names nobody. Say all, or name users, devices, access groups, connectors or protocols")
	}
	state := b.deps.View.State()
	if state == nil {
		return nil, fault.New(fault.Unavailable, "The broker is starting. Try again in a moment")
	}
	rest, err := b.indexed(ctx)
	unknown := b.unknown(rest, err)
	var ids []string
	users, devices := map[string]struct{}{}, map[string]struct{}{}
	for _, s := range b.everySession(rest) {
		var members []string
		if groups := r.GetSelector().GetAccessGroups(); len(groups) > 0 && state.Emergency.InGroups(s.GetDevice(), groups) {
			members = []string{s.GetDevice()}
		}
		if emergency.Selects(r.GetSelector(), seen(s), members) {
			ids = append(ids, s.GetId())
			users[s.GetUser()], devices[s.GetDevice()] = struct{}{}, struct{}{}
		}
	}
	slices.Sort(ids)
	return &sessionv1.CountSelectedResponse{
		Sessions: uint32(len(ids)), Ids: ids[:min(len(ids), namedAtMost)], Users: slices.Sorted(maps.Keys(users)),
		Devices: slices.Sorted(maps.Keys(devices)), UnreachableConnectors: unknown,
	}, nil
}

// indexed reads the sessions of the connectors that are not attached here.
func (b *Broker) indexed(ctx context.Context) (map[string][]*sessionv1.Session, error) {
	rest := map[string][]*sessionv1.Session{}
	for _, h := range b.all() {
		if h.attachedHere() {
			continue
		}
		rows, err := connectorRows(ctx, b.deps.Index, h.id)
		if err != nil {
			return rest, err
		}
		for _, row := range rows {
			rest[h.id] = append(rest[h.id], row.Session)
		}
	}
	return rest, nil
}

func (b *Broker) everySession(rest map[string][]*sessionv1.Session) []*sessionv1.Session {
	var all []*sessionv1.Session
	for _, h := range b.all() {
		if h.attachedHere() {
			all = append(all, h.live()...)
			continue
		}
		all = append(all, rest[h.id]...)
	}
	return all
}

// unknown are the connectors of which not everything is known: silent ones, and those of other replicas
// of which the index has less than they say.
func (b *Broker) unknown(rest map[string][]*sessionv1.Session, err error) []string {
	var names []string
	now := b.config.Now()
	for _, h := range b.all() {
		h.mu.Lock()
		here, elsewhere := h.reachableHere(now), h.reachableElsewhere(now)
		short := uint32(len(rest[h.id])) < h.beat.GetOpenSessions()
		h.mu.Unlock()
		if !here && (!elsewhere || short || err != nil) {
			names = append(names, h.id)
		}
	}
	slices.Sort(names)
	return names
}

// incomplete are the connectors of which the index has less than they say.
func (b *Broker) incomplete(ctx context.Context) []string {
	var names []string
	for _, h := range b.all() {
		h.mu.Lock()
		open := h.beat.GetOpenSessions()
		h.mu.Unlock()
		if open == 0 {
			continue
		}
		if rows, err := b.deps.Index.Range(ctx, registry.Key(h.id, ""), 1); err != nil || len(rows) == 0 || rows[0].Session.GetConnector() != h.id {
			names = append(names, h.id)
		}
	}
	slices.Sort(names)
	return names
}
