package session

import (
	"context"

	"github.com/google/uuid"
)

// AccessLog lists the rows of a tenant's access log that f selects, beginning
// after the id given: see Store.AccessLog. ErrInvalid for a filter that is not
// valid.
func (s *Service) AccessLog(ctx context.Context, tenant string, f AccessFilter, after uuid.UUID, limit int) ([]LoggedAccess, error) {
	f.From, f.To = Millis(f.From), Millis(f.To)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return s.Store.AccessLog(ctx, tenant, f, after, limit)
}
