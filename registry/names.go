package registry

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

// ErrKey: a key is not valid UTF-8. It would be another one on other nodes.
var ErrKey = errors.New("invalid key")

// checkEntry refuses what cannot be sent to every node, whatever framing the
// connection to it has: what one node cannot be told of would be missing there
// without a word, and with it all that is sent in the same message.
func checkEntry(family, key string, value any) error {
	if !utf8.ValidString(family) {
		return fmt.Errorf("registry: family %q: %w: it is not UTF-8", family, ErrFamily)
	}
	if !utf8.ValidString(key) {
		return fmt.Errorf("registry: family %q, key %q: %w: it is not UTF-8", family, key, ErrKey)
	}
	switch value.(type) {
	case float64, []any, map[string]any:
	default:
		return nil // no framing has a difficulty with these
	}
	// JSON is the framing with the fewest values. An entry is deepest in the
	// messages that hold a whole database.
	database := map[string]any{family: map[string]any{key: value}}
	if _, err := aemp.EncodeMessage(aemp.JSON.NewEncoder(), nil, "", requestSet, database); err != nil {
		return fmt.Errorf("registry: family %q, key %q: %w", family, key, err)
	}
	return nil
}

// dropUnfit takes away the entries of a family that checkEntry refuses: a peer may
// have sent them in a framing that can say more than others. The error names one
// of them.
func dropUnfit(family string, content map[string]any) (err error) {
	dropped := 0
	for key, value := range content {
		if unfit := checkEntry(family, key, value); unfit != nil {
			delete(content, key)
			dropped++
			err = unfit
		}
	}
	if dropped > 1 {
		err = fmt.Errorf("%w (and %d more)", err, dropped-1)
	}
	return err
}

// checkReadable refuses names of families that cannot be.
func checkReadable(name string) error {
	if name == familyAddresses || name == familyGlobals {
		return nil
	}
	return checkFamily(name)
}
