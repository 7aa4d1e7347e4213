package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"ronde/session"
)

// A sealed entry is, in this order:
//
//	version (1) | root id (8) | nonce (12) | ciphertext | tag (16)
//
// The root id, derived from the root secret, tells a wrong root secret from a
// damaged entry. Everything before the nonce is bound too, and so is the name.
const (
	boxVersion = 1
	rootIDSize = 8
	boxHeader  = 1 + rootIDSize
)

// box seals entries of a keyring under a key derived from the root secret.
type box struct {
	aead   cipher.AEAD
	header []byte // version and root id
}

func newBox(root session.RootSecret) (*box, error) {
	key, err := root.Derive(nil, "ronde keyring v1: seal")
	if err != nil {
		return nil, err
	}
	id, err := root.Derive(nil, "ronde keyring v1: root id")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return &box{aead: aead, header: append([]byte{boxVersion}, id[:rootIDSize]...)}, nil
}

// seal returns the entry of that name with that content.
func (b *box) seal(name string, content []byte) []byte {
	return b.aead.Seal(bytes.Clone(b.header), nil, content, b.bound(name))
}

// open returns the content of the entry, or an error that is ErrDamaged or
// ErrWrongRoot and names it.
func (b *box) open(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < boxHeader || sealed[0] != boxVersion {
		return nil, fmt.Errorf("%s %w", name, ErrDamaged)
	}
	if !bytes.Equal(sealed[:boxHeader], b.header) {
		return nil, fmt.Errorf("%s %w (or %w)", name, ErrWrongRoot, ErrDamaged)
	}
	content, err := b.aead.Open(nil, nil, sealed[boxHeader:], b.bound(name))
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, ErrDamaged)
	}
	return content, nil
}

func (b *box) bound(name string) []byte { return append(bytes.Clone(b.header), name...) }
