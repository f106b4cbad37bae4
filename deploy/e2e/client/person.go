package client

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pquerna/otp/totp"
)

// Person is somebody with a password and, perhaps, an MFA app.
type Person struct {
	Client
	Name, Password string
	// Secret is what the MFA app holds, in base32; empty without one.
	Secret string
	// Behind is how far the server's clock may be behind this one.
	Behind time.Duration

	mu   sync.Mutex
	last int64 // the last step whose code was used
}

const step = 30 // seconds that a code lives

// Code answers a code that has not been used yet. The server takes the step before, now and after, each
// once: where none of the three is left it waits for the next one.
func (p *Person) Code() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.next(time.Now())
	if early := time.Until(time.Unix((next-1)*step, 0).Add(p.Behind)); early > 0 {
		time.Sleep(early + 50*time.Millisecond)
	}
	p.last = next
	return totp.GenerateCode(p.Secret, time.Unix(next*step, 0))
}

// Ready says whether Code has one to give without waiting.
func (p *Person) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	return p.next(now) <= now.Add(-p.Behind).Unix()/step+1
}

// next is the oldest step that was not used and is still taken for some seconds.
func (p *Person) next(now time.Time) int64 {
	oldest := now.Unix()/step - 1
	if now.Unix()%step > step-4 {
		oldest++
	}
	return max(oldest, p.last+1)
}

// SignIn signs in, with a code where the person has an MFA app.
func (p *Person) SignIn() (*Answer, error) {
	body := Object{"username": p.Name, "password": p.Password}
	if p.Secret != "" {
		code, err := p.Code()
		if err != nil {
			return nil, err
		}
		body["code"] = code
	}
	a, err := Client{Base: p.Base}.Call(http.MethodPost, "/v1/sign-ins", body)
	if err == nil && a.Status == http.StatusOK {
		p.Token = a.Text("token")
	}
	return a, err
}

// Enroll adds an MFA app to the person, who is signed in, and signs in again if that ended the sign-in.
func (p *Person) Enroll() error {
	enrolled, err := p.Call(http.MethodPost, "/v1/users/"+p.Name+"/mfa:enroll", Object{})
	if err != nil {
		return err
	}
	secret := secretOf(enrolled.Text("uri"))
	if secret == "" {
		return fmt.Errorf("enrolling %s: %s", p.Name, enrolled)
	}
	p.Secret = secret
	code, err := p.Code()
	if err != nil {
		return err
	}
	activated, err := p.Call(http.MethodPost, "/v1/users/"+p.Name+"/mfa:activate", Object{"code": code})
	if err != nil {
		return err
	}
	if activated.Status != http.StatusOK {
		return fmt.Errorf("activating the MFA of %s: %s", p.Name, activated)
	}
	still, err := p.Call(http.MethodGet, "/v1/users/"+p.Name, nil)
	if err != nil || still.Status == http.StatusOK {
		return err
	}
	again, err := p.SignIn()
	if err == nil && again.Status != http.StatusOK {
		return fmt.Errorf("signing in %s with the new MFA: %s", p.Name, again)
	}
	return err
}

// Grant turns a fresh code into a grant.
func (p *Person) Grant(purpose string) (string, error) {
	code, err := p.Code()
	if err != nil {
		return "", err
	}
	a, err := p.Call(http.MethodPost, "/v1/grants", Object{"code": code, "purpose": purpose})
	if err != nil {
		return "", err
	}
	if a.Text("grant") == "" {
		return "", fmt.Errorf("a grant for %s: %w: %s", p.Name, errRefused, a)
	}
	return a.Text("grant"), nil
}

var errRefused = errors.New("refused")

// Used is the last step of the clock whose code was used.
func (p *Person) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
