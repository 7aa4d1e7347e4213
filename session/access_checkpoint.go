package session

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// AccessCheckpoint says what the access log was at one moment: whoever keeps one can
// tell whether anything of the log up to there was changed since.
type AccessCheckpoint struct {
	Size int64 // leaves of the tree
	Root tlog.Hash
	At   time.Time // the store's clock when it was signed
}

// StoredCheckpoint is a checkpoint as it is kept: nobody has looked yet whether it
// is genuine.
type StoredCheckpoint struct {
	Size int64  // under which it is kept, and which it should sign
	Note string // its text
}

// accessOrigin begins the first line of every checkpoint; the identity of the
// installation's keyring ends it.
const accessOrigin = "ronde-access-log/"

// AccessVerifier opens checkpoints of one installation and, if it was made from the
// root secret, tells rows that a node made from others.
type AccessVerifier struct {
	origin string
	key    string
	known  note.Verifiers
	rows   *AccessKey // nil: the public key alone is known
}

// AccessSigner signs checkpoints, and opens them.
type AccessSigner struct {
	AccessVerifier
	signer note.Signer
}

// NewAccessSigner returns the signer of an installation: its Ed25519 key follows
// from the root secret and the identity of the keyring, so that all nodes have
// the same and it is kept nowhere.
func NewAccessSigner(root RootSecret, keyring uuid.UUID) (*AccessSigner, error) {
	origin := accessOrigin + keyring.String()
	seed, err := root.Derive(nil, "ronde access log v1: sign", keyring.String())
	if err != nil {
		return nil, err
	}
	public, err := note.NewEd25519VerifierKey(origin, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("verification key: %w", err)
	}
	v, err := NewAccessVerifier(public)
	if err != nil {
		return nil, err
	}
	rows, err := NewAccessKey(root)
	if err != nil {
		return nil, err
	}
	v.rows = &rows
	// Package note takes a private key in its text form alone: name, hash of the
	// key, algorithm 1 with the seed.
	hash := strings.Split(public, "+")[1]
	secret := "PRIVATE+KEY+" + origin + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, errors.New("signing key of the access log: it is none") // the cause may quote it
	}
	return &AccessSigner{*v, signer}, nil
}

// NewAccessVerifier returns the verifier for a key that ronde audit key printed:
// name+hash+key. ErrInvalid for any other text.
func NewAccessVerifier(key string) (*AccessVerifier, error) {
	v, err := note.NewVerifier(key)
	if err != nil || !strings.HasPrefix(v.Name(), accessOrigin) {
		return nil, ErrInvalid.At("key").Because("must be what ronde audit key prints: %sID+HASH+KEY", accessOrigin)
	}
	return &AccessVerifier{origin: v.Name(), key: key, known: note.VerifierList(v)}, nil
}

// Key returns the public key, as ronde audit key prints it.
func (v *AccessVerifier) Key() string { return v.key }

// sign returns the text of a checkpoint: a signed note of four lines, the origin,
// the size, the root in base64 and the time.
func (s *AccessSigner) sign(c AccessCheckpoint) (string, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n%s\n", s.origin, c.Size, c.Root, c.At.UTC().Format(time.RFC3339Nano))
	signed, err := note.Sign(&note.Note{Text: text}, s.signer)
	return string(signed), err
}

// Open returns what a checkpoint says, if the installation signed it.
func (v *AccessVerifier) Open(text string) (AccessCheckpoint, error) {
	opened, err := note.Open([]byte(text), v.known)
	if err != nil {
		return AccessCheckpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 5 || lines[0] != v.origin {
		return AccessCheckpoint{}, errors.New("checkpoint: it is signed, and of another form than this version knows")
	}
	var c AccessCheckpoint
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err == nil && c.Size < 0 {
		err = errors.New("negative size")
	}
	if err == nil {
		c.Root, err = tlog.ParseHash(lines[2])
	}
	if err == nil {
		c.At, err = time.Parse(time.RFC3339Nano, lines[3])
	}
	if err != nil {
		return AccessCheckpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// OriginOf returns the identity of the keyring that a checkpoint names, whether
// or not it is signed; the zero UUID if it names none.
func OriginOf(checkpoint string) uuid.UUID {
	line, _, _ := strings.Cut(checkpoint, "\n")
	id, err := uuid.Parse(strings.TrimPrefix(line, accessOrigin))
	if err != nil || line != accessOrigin+id.String() {
		return uuid.Nil
	}
	return id
}

// JoinCheckpoint returns the text by which a checkpoint is added to others: an
// empty line before it and one after it, so that one of which only a part was
// written is told from the others.
func JoinCheckpoint(checkpoint string) string { return "\n" + checkpoint + "\n" }

// SplitCheckpoints returns the checkpoints that stand one after the other in a
// text. One whose end was never written, because the disk was full or the machine
// stopped, is left out.
func SplitCheckpoints(text string) (all []string) {
	var one strings.Builder
	take := func(end string) {
		if s := one.String(); strings.Contains(s, "\n\n— ") && strings.HasSuffix(s, end) {
			all = append(all, strings.TrimRight(s, "\n")+"\n")
		}
		one.Reset()
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, accessOrigin) {
			take("\n\n")
		}
		one.WriteString(line)
	}
	take("\n")
	return all
}
