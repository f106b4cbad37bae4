package client

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// Crew imports so many administrators, root-1 and on, and answers them signed in, each with an MFA app
// of their own. The first administrator has signed in already, and spends a code.
func Crew(first *Person, size int, password string) ([]*Person, error) {
	var users []Object
	for i := range size {
		users = append(users, Object{
			"name": fmt.Sprintf("root-%d", i+1), "password": password, "roles": []string{"System Administrator"},
		})
	}
	grant, err := first.Grant("")
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(Object{"users": users})
	if err != nil {
		return nil, err
	}
	a, err := first.Call(http.MethodPost, "/v1/directory:import",
		Object{"document": string(document), "grant": grant, "requestId": uuid.NewString()})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("importing administrators: %s", a)
	}
	crew := make([]*Person, size)
	for i := range crew {
		p := &Person{Client: Client{Base: first.Base}, Name: fmt.Sprintf("root-%d", i+1), Password: password}
		if a, err := p.SignIn(); err != nil || a.Status != http.StatusOK {
			return nil, fmt.Errorf("signing in %s: %v %v", p.Name, a, err)
		}
		if err := p.Enroll(); err != nil {
			return nil, err
		}
		crew[i] = p
	}
	return crew, nil
}
