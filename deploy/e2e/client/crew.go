package client

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// Crew makes administrators out of one who is signed in and has codes to give, until so many of them
// have two codes left: making one takes a grant, so each of those who make has none left for a while.
// They are signed in, with an MFA app of their own.
type Crew struct {
	Password string
	// Prefix is what their names begin with; root, if unset.
	Prefix string
	// Key answers the authorized_keys line of a new one; nil for none.
	Key func(name string) (string, error)

	// All are those that were made.
	All []*Person
}

// Grow answers so many who have two codes left, the first among them if nobody had to be made.
func (c *Crew) Grow(first *Person, size int) ([]*Person, error) {
	idle := []*Person{first}
	for len(idle) < size {
		by := idle[0]
		idle = idle[1:]
		for range 2 {
			p, err := c.Make(by)
			if err != nil {
				return nil, err
			}
			if err := p.Enroll(); err != nil {
				return nil, err
			}
			idle = append(idle, p)
		}
	}
	return idle, nil
}

// Make adds one, signed in by password alone.
func (c *Crew) Make(by *Person) (*Person, error) {
	p := &Person{Client: Client{Base: by.Base}, Name: fmt.Sprintf("%s-%d", cmp.Or(c.Prefix, "root"), len(c.All)+1), Password: c.Password, Behind: by.Behind}
	grant, err := by.Grant("user")
	if err != nil {
		return nil, err
	}
	body := Object{
		"name": p.Name, "password": p.Password, "roles": []string{"System Administrator"},
		"grant": grant, "justification": "On call", "requestId": uuid.NewString(),
	}
	if c.Key != nil {
		key, err := c.Key(p.Name)
		if err != nil {
			return nil, err
		}
		body["sshPublicKeys"] = []string{key}
	}
	a, err := by.Call(http.MethodPost, "/v1/users", body)
	if err == nil && a.Status == http.StatusOK {
		a, err = p.SignIn()
	}
	if err != nil || a.Status != http.StatusOK {
		return nil, fmt.Errorf("making %s an administrator: %v %w", p.Name, a, err)
	}
	c.All = append(c.All, p)
	return p, nil
}
