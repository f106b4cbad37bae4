//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"portcullis.dev/deploy/e2e/chaos/disk"
	"portcullis.dev/deploy/e2e/chaos/plan"
	"portcullis.dev/deploy/e2e/chaos/wire"
	"portcullis.dev/deploy/e2e/stack"
)

const (
	ownFolder = "/run" // empty, and in memory
	brokers   = 3
)

// replicas are how many of each service there are: two of what is not at the edge.
func replicas() map[string]int {
	return map[string]int{"emergency-control": 2, "identity": 2, "access-gate": 2, "session-broker": 2, "notifier": 2}
}

func cluster() plan.Cluster {
	all := plan.Cluster{Processes: []string{"bastion", "gateway", "redis"}}
	for _, service := range []string{"emergency-control", "identity", "access-gate", "session-broker", "notifier"} {
		all.Processes = append(all.Processes, service, stack.Replica(service, 1))
	}
	for i := range brokers {
		all.Brokers = append(all.Brokers, stack.Replica("nats", i))
	}
	all.Processes = append(all.Processes, all.Brokers...)
	return all
}

func serviceOf(process string) string { return stack.ServiceOf(process) }

// site is where the processes run: each at its own address, by its own clock, and each broker on its own disk.
type site struct {
	net    *wire.Net
	disks  map[string]*disk.Disk
	clocks map[string]int // seconds that each is wrong, unless it is broken
	clock  func(process string) int
	broken map[string]*sync.Mutex // held by what breaks a process
}

func newSite(seed uint64, clock func(process string) int) (*site, error) {
	s := &site{disks: map[string]*disk.Disk{}, clocks: plan.Clocks(seed, cluster().Processes), clock: clock, broken: map[string]*sync.Mutex{}}
	for _, process := range cluster().Processes {
		s.broken[process] = new(sync.Mutex)
	}
	var err error
	if s.net, err = wire.New(cluster().Processes); err != nil {
		return nil, err
	}
	images, mounts := filepath.Join(ownFolder, "images"), filepath.Join(ownFolder, "disks")
	if err := errors.Join(os.MkdirAll(images, 0o700), os.MkdirAll(mounts, 0o700)); err != nil {
		return nil, err
	}
	for _, broker := range cluster().Brokers {
		if s.disks[broker], err = disk.New(images, mounts, broker); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Host, Enter and Store make it a stack's place.
func (s *site) Host(process string) string { return s.net.Host(process) }

func (s *site) Enter(process string, command, environment []string) ([]string, []string) {
	return s.net.Enter(process, command), append(environment, clockVariable(s.clock(process)))
}

func (s *site) Store(broker string) string { return filepath.Join(s.disks[broker].Folder, "data") }
