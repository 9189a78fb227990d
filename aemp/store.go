package aemp

import "unsafe"

// store stores v in what dest points to, if both are of the types that most
// messages have, for which assign would do the same by reflection. It returns
// whether it did.
func store(dest, v any) bool {
	switch v := v.(type) {
	case string:
		return storeText(dest, v)
	case PortID:
		return storeText(dest, string(v))
	case int64:
		return storeInt(dest, v)
	case int:
		return storeInt(dest, int64(v))
	case float64:
		if d, ok := dest.(*float64); ok && d != nil {
			*d = v
			return true
		}
	case bool:
		if d, ok := dest.(*bool); ok && d != nil {
			*d = v
			return true
		}
	}
	return false
}

func storeText(dest any, v string) bool {
	switch d := dest.(type) {
	case *string:
		if d != nil {
			*d = v
			return true
		}
	case *PortID:
		if d != nil {
			*d = PortID(v)
			return true
		}
	}
	return false
}

func storeInt(dest any, v int64) bool {
	switch d := dest.(type) {
	case *int64:
		if d != nil {
			*d = v
			return true
		}
	case *int:
		if d != nil && int64(int(v)) == v {
			*d = int(v)
			return true
		}
	}
	return false
}

// notKept returns v, which is a pointer, in a way by which the compiler does not
// see that: else it would take it to be kept by reflection, which writes to what
// it points to and forgets it, and would have all variables that are scanned into
// allocated.
func notKept(v any) any {
	words := *(*[2]uintptr)(unsafe.Pointer(&v))
	return *(*any)(unsafe.Pointer(&words))
}
