package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ReceiptLife is how long a creation is remembered under its caller's key.
const ReceiptLife = 24 * time.Hour

// ReceiptID names the receipt of a creation within its tenant. It is a keyed
// hash: the store learns neither who asked nor under which key.
type ReceiptID [sha256.Size]byte

// Creation is what Store.CreateOnce makes: a mission, a link, or nothing (an
// agent's token is kept nowhere), and the receipt for it.
type Creation struct {
	Ref     // the mission that it makes or belongs to, with which the receipt is erased
	Mission *Mission
	Link    *Link
	Receipt ReceiptID
	// Seal returns what the receipt says. The store calls it once what it makes
	// has all its members, inside the transaction.
	Seal func() ([]byte, error)
}

// Once is a request to create something that may come more than once, because
// its caller cannot know whether an answer that was lost was one. It is told by
// a key that the caller chose.
//
// The receipt commits with what was made, or neither does: no crash can come in
// between, and of several requests at once, whichever nodes they reach, the
// database lets one commit. A request that is refused leaves no receipt.
type Once struct {
	tenant  string
	receipt ReceiptID
	request [sha256.Size]byte // fingerprint of the body
	aead    cipher.AEAD
}

// maxOnceKey is the longest key of a caller's, in bytes.
const maxOnceKey = 255

// Once returns the request of p for an operation (method and path) under a key,
// with that body. The same key of another API key, or for another operation,
// has nothing to do with it. ErrInvalid for a key that is none.
func (s *Service) Once(p *Principal, operation, key string, body []byte) (*Once, error) {
	if len(key) < 1 || len(key) > maxOnceKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrInvalid.At("Idempotency-Key").Because("must be 1 to %d visible ASCII characters", maxOnceKey)
	}
	naming, err := s.Sealer.root.Derive(nil, "ronde receipt v1: name", p.Tenant)
	if err != nil {
		return nil, err
	}
	sealing, err := s.Sealer.root.Derive(nil, "ronde receipt v1: seal", p.Tenant)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	o := &Once{tenant: p.Tenant, request: sha256.Sum256(body)}
	if o.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	mac := hmac.New(sha256.New, naming)
	mac.Write(appendBound(appendBound(p.Subject[:], operation), key))
	mac.Sum(o.receipt[:0])
	return o, nil
}

// Answered returns what was answered when o was carried out, or nil if it was
// not within ReceiptLife. ErrKeyReused if its key was used with another body.
func (s *Service) Answered(ctx context.Context, o *Once) (answer []byte, err error) {
	sealed, err := s.Store.Receipt(ctx, o.tenant, o.receipt)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o.open(sealed)
}

// Create stores what c holds and then lets answer tell what it became; with o,
// at most once, and answer's word is what Answered returns from then on.
// ErrRepeated, and nothing is stored, if another request of the same key was
// faster: ask Answered.
func (s *Service) Create(ctx context.Context, c Creation, o *Once, answer func() ([]byte, error)) error {
	if o != nil {
		c.Receipt = o.receipt
		c.Seal = func() ([]byte, error) {
			text, err := answer()
			return o.seal(text), err
		}
		return s.Store.CreateOnce(ctx, c)
	}
	var err error
	switch {
	case c.Mission != nil:
		err = s.Store.CreateMission(ctx, c.Mission)
	case c.Link != nil:
		err = s.Store.CreateLink(ctx, *c.Link)
	}
	if err == nil {
		_, err = answer()
	}
	return err
}

// receiptVersion is the first byte of every sealed receipt.
const receiptVersion = 1

// seal returns the receipt: version | nonce | ciphertext of fingerprint and
// answer | tag, bound to the tenant and the receipt's own name.
func (o *Once) seal(answer []byte) []byte {
	return o.aead.Seal([]byte{receiptVersion}, nil, append(o.request[:], answer...), o.bound())
}

func (o *Once) open(sealed []byte) (answer []byte, err error) {
	if len(sealed) == 0 || sealed[0] != receiptVersion {
		return nil, ErrUnreadable.Because("the receipt has a form this version does not know")
	}
	plain, err := o.aead.Open(nil, nil, sealed[1:], o.bound())
	if err != nil || len(plain) < len(o.request) {
		return nil, ErrUnreadable.Because("the receipt is damaged or belongs elsewhere")
	}
	if !hmac.Equal(plain[:len(o.request)], o.request[:]) {
		return nil, ErrKeyReused
	}
	return plain[len(o.request):], nil
}

func (o *Once) bound() []byte {
	return append(appendBound([]byte{receiptVersion}, o.tenant), o.receipt[:]...)
}
