package session

// eachPage reads a list page by page, limit at once, and hands each page to do, but
// no empty one. It begins at the zero C and goes on at next of the last that was
// read. An error of read or do ends it.
func eachPage[T, C any](limit int, read func(at C) ([]T, error), next func(last *T) C, do func(page []T) error) error {
	for at := *new(C); ; {
		page, err := read(at)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			if err := do(page); err != nil {
				return err
			}
		}
		if len(page) < limit {
			return nil
		}
		at = next(&page[len(page)-1])
	}
}
