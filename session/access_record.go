package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// recordAtOnce is how many rows of the access log one transaction takes.
	recordAtOnce = 1_000
	// maxRecording is how many rows wait at once: several times what comes when
	// every phone and viewer of a large installation reconnects.
	maxRecording = 50_000
	// recordPatience is how long a row may take to commit.
	recordPatience = 5 * time.Second
)

// Record writes a to the access log, on behalf of p (nil: of Ronde itself), and
// returns once it is durable. Tenant, role, subject and, of agents and viewers,
// the mission and the agent are those of p.
//
// ErrInvalid for a row that cannot be recorded; for whatever else goes wrong
// ErrUnavailable: then the row may or may not be there, and the caller gives no
// data.
func (s *Service) Record(ctx context.Context, p *Principal, a Access) error {
	if p != nil {
		a.Tenant, a.Role, a.Subject = p.Tenant, p.Role, p.Subject
		if p.Mission != uuid.Nil {
			a.Mission = p.Mission
		}
		if p.Agent != "" {
			a.Agent = s.Pseudonym(p.Tenant, p.Agent)
		}
	}
	// One bad row would take its whole batch with it.
	if !slices.Contains(accessActions, a.Action) {
		return ErrInvalid.At("action").Because("is none that the access log records")
	}
	for field, text := range map[string]string{"reason": a.Why, "agent": a.Agent} {
		if text == "" {
			continue
		}
		if err := validLine(field, text, MaxReason); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, recordPatience)
	defer cancel()
	var err error
	if s.Access == nil {
		err = s.Store.LogAccess(ctx, []Access{a})
	} else {
		err = s.Access.add(ctx, a)
	}
	if err != nil {
		return fmt.Errorf("%w: access log: %w", ErrUnavailable, err)
	}
	return nil
}

// AccessWriter joins the rows of many callers into few transactions. Whoever
// finds none under way begins one at once; what comes while it commits goes into
// the next.
type AccessWriter struct {
	store Store
	turn  chan struct{} // held by the one who commits

	mu sync.Mutex
	// Guarded by mu:

	open    *recordBatch // takes rows; nil: none
	waiting int          // rows that were not committed yet
}

// NewAccessWriter returns an AccessWriter that writes to store.
func NewAccessWriter(store Store) *AccessWriter {
	return &AccessWriter{store: store, turn: make(chan struct{}, 1)}
}

// recordBatch is what commits together. Its first caller commits it.
type recordBatch struct {
	rows []Access      // fixed once the batch is no longer open
	done chan struct{} // closed once err is set
	err  error
}

func (w *AccessWriter) add(ctx context.Context, a Access) error {
	b, first, err := w.join(a)
	if err != nil {
		return err
	}
	if first {
		w.commit(ctx, b)
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join puts a into the open batch, and reports whether it is the first there.
func (w *AccessWriter) join(a Access) (b *recordBatch, first bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting >= maxRecording {
		return nil, false, fmt.Errorf("%d rows are waiting", w.waiting)
	}
	if w.open == nil || len(w.open.rows) >= recordAtOnce {
		w.open, first = &recordBatch{done: make(chan struct{})}, true
	}
	w.open.rows = append(w.open.rows, a)
	w.waiting++
	return w.open, first, nil
}

// commit waits for the turn of b and commits it. A caller who gives up does not
// cancel it: others wait.
func (w *AccessWriter) commit(ctx context.Context, b *recordBatch) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordPatience)
	defer cancel()
	defer func() {
		w.mu.Lock()
		w.waiting -= len(b.rows)
		w.mu.Unlock()
		close(b.done)
	}()
	b.err = errors.New("the batch was not written")
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
		w.close(b)
		b.err = w.store.LogAccess(bounded, b.rows)
	case <-bounded.Done():
		w.close(b)
		b.err = bounded.Err()
	}
}

// close lets b take no more rows.
func (w *AccessWriter) close(b *recordBatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == b {
		w.open = nil
	}
}

// purgeAccess removes the rows of the access log that are AccessMonths old, of all
// tenants, and returns how many.
func (s *Service) purgeAccess(ctx context.Context) (int, error) {
	for purged := 0; ; {
		rows, checkpoints, err := s.Store.PurgeAccess(ctx, accessAtOnce)
		purged += rows
		if err != nil || max(rows, checkpoints) < accessAtOnce {
			return purged, err
		}
	}
}
