package actor

import (
	"slices"
	"strings"
)

// receivers are those of a port, in the order of their tags. Most ports have
// few, for which this takes a sixth of the memory of a map, and no more time.
type receivers []receiver

func (rs receivers) find(tag string) (i int, found bool) {
	return slices.BinarySearchFunc(rs, tag, func(r receiver, tag string) int { return strings.Compare(r.tag, tag) })
}

// set puts a receiver in, in the place of the one for the same tag.
func (rs *receivers) set(r receiver) {
	i, found := rs.find(r.tag)
	switch {
	case found:
		(*rs)[i] = r
	case *rs == nil:
		*rs = receivers{r}
	default:
		*rs = slices.Insert(*rs, i, r)
	}
}

func (rs *receivers) remove(tag string) {
	if i, found := rs.find(tag); found {
		*rs = slices.Delete(*rs, i, i+1)
	}
}
