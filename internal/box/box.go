// Package box makes values in interfaces with fewer allocations than the language
// does: an interface holds a pointer to its value, unless that is a pointer itself.
package box

import "unsafe"

// In returns *p as a value in an interface, without a copy of it. From then on *p
// must not be changed. T must be a string, a slice or the like, not a pointer, map,
// channel or function.
func In[T any](p *T) any {
	var zero T
	v := any(zero)
	(*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1] = unsafe.Pointer(p)
	return v
}

// A text up to these lengths is kept beside its head, where that takes no more
// memory than the two apart.
type (
	text16 struct {
		head  string
		chars [16]byte
	}
	text32 struct {
		head  string
		chars [32]byte
	}
)

// Text returns string(b) as a value in an interface, with one allocation if it is
// a short one.
func Text(b []byte) any {
	switch n := len(b); {
	case n < 2: // Go allocates nothing
		return string(b)
	case n <= 16:
		t := new(text16)
		t.head = unsafe.String(&t.chars[0], copy(t.chars[:], b))
		return In(&t.head)
	case n > 24 && n <= 32:
		t := new(text32)
		t.head = unsafe.String(&t.chars[0], copy(t.chars[:], b))
		return In(&t.head)
	default:
		return string(b)
	}
}
