package sqlite

import (
	"context"

	"ronde/session"
)

// CreateOnce stores a mission or a link with its receipt: see session.Store.
func (s *Store) CreateOnce(ctx context.Context, c session.Creation) error {
	return s.write(ctx, func(t *tx) error {
		var err error
		switch {
		case c.Mission != nil:
			err = t.createMission(c.Mission)
		case c.Link != nil:
			err = t.createLink(c.Link)
		}
		if err != nil {
			return err
		}
		sealed, err := c.Seal()
		if err != nil {
			return err
		}
		// One whose life is over makes room, even if nobody has purged it yet.
		kept, err := t.exec(`INSERT INTO receipts (tenant, id, mission, expires_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (tenant, id) DO UPDATE SET mission = ?3, expires_at = ?4, sealed = ?5 WHERE receipts.expires_at <= ?6`,
			c.Tenant, c.Receipt[:], c.ID, t.now+session.ReceiptLife.Milliseconds(), sealed, t.now)
		if err == nil && kept == 0 {
			return session.ErrRepeated
		}
		return err
	})
}

// Receipt returns the receipt of that name.
func (s *Store) Receipt(ctx context.Context, tenant string, id session.ReceiptID) (sealed []byte, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		return q.one([]any{&sealed}, "SELECT sealed FROM receipts WHERE tenant = ? AND id = ? AND expires_at > ?", tenant, id[:], now)
	})
	return sealed, err
}

// PurgeReceipts removes receipts, of all tenants, whose life is over.
func (s *Store) PurgeReceipts(ctx context.Context, limit int) (int, error) {
	var purged int64
	err := s.write(ctx, func(t *tx) (err error) {
		purged, err = t.exec(`DELETE FROM receipts WHERE (tenant, id) IN (
			SELECT tenant, id FROM receipts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, t.now, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(purged), nil
}
