package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// quantile answers a value by its rank; it sorts a copy.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// syncs answers how many milliseconds each of n appends of size bytes takes on bare disk.
func syncs(folder string, n, size int, sync func(*os.File) error) ([]float64, error) {
	f, err := os.Create(filepath.Join(folder, "bare"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	record := make([]byte, size)
	took := make([]float64, n)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(record); err != nil {
			return nil, fmt.Errorf("writing on bare disk: %w", err)
		}
		if err := sync(f); err != nil {
			return nil, fmt.Errorf("syncing on bare disk: %w", err)
		}
		took[i] = milliseconds(time.Since(began))
	}
	return took, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
