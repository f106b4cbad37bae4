package pace

// Len is how many clients are remembered.
func (k *Keeper[K]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.rows)
}
