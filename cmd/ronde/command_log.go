package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session"
)

// commandPatience is how long a command waits until what it recorded is signed.
const commandPatience = 3 * time.Second

// commandStore is the store of a command. Only one that records something needs the root secret: its rows are
// authenticated as those of a node, and signed before it exits, so that nobody can remove them unseen although no node
// runs.
type commandStore struct {
	session.Store
	config   configs.Config
	recorded bool
}

func (s *commandStore) recording() (session.Store, error) {
	root, err := rootSecret(s.config)
	if err != nil {
		return nil, err
	}
	key, err := session.NewAccessKey(root)
	if err != nil {
		return nil, err
	}
	s.recorded = true
	return key.Store(s.Store), nil
}

// LogAccess implements session.Store.
func (s *commandStore) LogAccess(ctx context.Context, batch []session.Access) error {
	store, err := s.recording()
	if err != nil {
		return err
	}
	return store.LogAccess(ctx, batch)
}

// UpdateMission implements session.Store.
func (s *commandStore) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *session.Mission) error) (*session.Mission, error) {
	store, err := s.recording()
	if err != nil {
		return nil, err
	}
	return store.UpdateMission(ctx, tenant, id, change)
}

// UpdateHold implements session.Store.
func (s *commandStore) UpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *session.HoldChange) error) (session.Hold, error) {
	store, err := s.recording()
	if err != nil {
		return session.Hold{}, err
	}
	return store.UpdateHold(ctx, tenant, mission, agent, change)
}

// sign does for what was recorded what a node's accessKeeper does. That it could not is no failure of the command, which
// has done what it was told: the next node or command signs it, and until then whoever looks is told.
func (s *commandStore) sign(ctx context.Context) {
	if !s.recorded {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandPatience)
	defer cancel()
	if err := s.trySign(ctx); err != nil {
		newLogger(streams{err: os.Stderr}, slog.LevelWarn.String()).Warn("access_log_not_signed", "error", err,
			"advice", "what the command recorded is stored; start a node, or look at ronde doctor")
	}
}

func (s *commandStore) trySign(ctx context.Context) error {
	keyring, err := s.KeyringID(ctx)
	if err != nil || keyring == uuid.Nil {
		return err // before the first node has made a keyring there is no key to sign with: that node signs
	}
	root, err := rootSecret(s.config)
	if err != nil {
		return err
	}
	signer, err := session.NewAccessSigner(root, keyring)
	if err != nil {
		return err
	}
	again := time.NewTicker(accessEvery / 8)
	defer again.Stop()
	for {
		st, _, err := growAccessTree(ctx, s.Store, signer)
		if err != nil {
			return err
		}
		if st.Pending.IsZero() {
			return s.keep(st)
		}
		select { // a node is about it
		case <-ctx.Done():
			return errors.Join(errors.New("another process signs, and has not come to it"), ctx.Err())
		case <-again.C:
		}
	}
}

// keep writes the newest checkpoint to the folder outside the database.
func (s *commandStore) keep(st session.AccessState) error {
	if st.Size == 0 {
		return nil
	}
	folder, err := openCheckpoints(s.config)
	if err != nil {
		return err
	}
	return folder.append(st.Checkpoint, st.SignedAt)
}
