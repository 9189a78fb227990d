package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A Family is a family of the database whose values are T, by [FamilyOf]. Its
// methods are those of [Registry], with their errors.
//
// A value that some node has set and that is no T is left out, as if it were not
// there, and an error tells of it, which names family and key and wraps
// [aemp.ErrValue]. So one node that sets something else, a Perl node perhaps,
// keeps no other from its work.
type Family[T any] struct {
	r    *Registry
	name string
}

// FamilyOf returns a family as one of values of type T:
//
//	load, err := registry.FamilyOf[float64](reg, "load")
//
// T may be a string, number or bool, a slice of such types, a map of them with
// string keys, a pointer to one, and any; named types as well, such as
// [actor.PortID]. What is received is converted as [aemp.Convert] does, so that
// a number is one whether it comes from Go or as a string from Perl. A value of
// undef is the zero T. The error wraps [ErrFamily], or
// [aemp.ErrUnsupportedValue] if T is of another kind.
func FamilyOf[T any](r *Registry, name string) (Family[T], error) {
	err := checkFamily(name)
	if err == nil {
		if bad := unconvertible(reflect.TypeFor[T](), nil); bad != nil {
			err = fmt.Errorf("registry: family %q of %v: %w: %v", name, reflect.TypeFor[T](), aemp.ErrUnsupportedValue, bad)
		}
	}
	return Family[T]{r, name}, err
}

// unconvertible returns the type, within t, to which nothing is converted; nil if
// there is none. Those above are known to be looked at already.
func unconvertible(t reflect.Type, above []reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Struct, reflect.Array, reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return t
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return t
		}
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return t
		}
		fallthrough
	case reflect.Slice, reflect.Pointer:
		if !slices.Contains(above, t) {
			return unconvertible(t.Elem(), append(above, t))
		}
	}
	return nil
}

// Set gives a key a value; see [Registry.Set].
func (f Family[T]) Set(key string, value T) (undo func(), err error) {
	return f.r.Set(f.name, key, value)
}

// Register sets the port's ID as a key for as long as the port lives; see
// [Registry.Register].
func (f Family[T]) Register(port actor.PortID, value T) (undo func(), err error) {
	return f.r.Register(f.name, port, value)
}

// Content returns the family; see [Registry.Family]. With an error that wraps
// [aemp.ErrValue], which joins one for each value that is no T, it returns all
// the others.
func (f Family[T]) Content(ctx context.Context) (map[string]T, error) {
	raw, err := f.r.Family(ctx, f.name)
	if err != nil {
		return nil, err
	}
	return f.convert(raw)
}

// WaitFor waits until the family has a member; see [Registry.WaitFor]. What it
// returns is like that of Content: members whose values are no T count too, in
// that they end the waiting.
func (f Family[T]) WaitFor(ctx context.Context) (map[string]T, error) {
	raw, err := f.r.WaitFor(ctx, f.name)
	if err != nil {
		return nil, err
	}
	return f.convert(raw)
}

// A ChangeOf is a [Change] of a [Family].
type ChangeOf[T any] struct {
	// Content is the family as it is now, without the values that are no T. It
	// must not be changed.
	Content map[string]T
	// Added, Changed and Deleted are the keys that came into Content, got another
	// value there, and went.
	Added, Changed, Deleted []string
	// Bad tells, by key, why a value is no T and left out. It must not be changed.
	Bad map[string]error
}

// Monitor calls fn with the content, and whenever it changes; see
// [Registry.Monitor]. Only what has changed is converted, but each call copies
// the family.
func (f Family[T]) Monitor(fn func(ChangeOf[T])) (stop func(), err error) {
	var last ChangeOf[T]
	return f.r.Monitor(f.name, func(c Change) {
		last = f.follow(last, c)
		fn(last)
	})
}

// Changes returns the content, and then each change; see [Registry.Changes].
func (f Family[T]) Changes(ctx context.Context) iter.Seq2[ChangeOf[T], error] {
	return func(yield func(ChangeOf[T], error) bool) {
		var last ChangeOf[T]
		for c, err := range f.r.Changes(ctx, f.name) {
			if err == nil {
				last = f.follow(last, c)
			} else {
				last = ChangeOf[T]{}
			}
			if !yield(last, err) {
				return
			}
		}
	}
}

// one converts a value.
func (f Family[T]) one(key string, value any) (v T, err error) {
	if err = aemp.Convert(&v, value); err != nil {
		err = fmt.Errorf("registry: family %q, key %q: %w", f.name, key, err)
	}
	return v, err
}

func (f Family[T]) convert(raw map[string]any) (map[string]T, error) {
	content := make(map[string]T, len(raw))
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		v, err := f.one(key, raw[key])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		content[key] = v
	}
	return content, errors.Join(errs...)
}

// follow returns the change that follows the last one. Only what has changed is
// converted.
func (f Family[T]) follow(last ChangeOf[T], c Change) ChangeOf[T] {
	next := ChangeOf[T]{Content: make(map[string]T, len(c.Content)), Bad: maps.Clone(last.Bad)}
	maps.Copy(next.Content, last.Content)
	for _, key := range c.Deleted {
		delete(next.Bad, key)
		if _, was := next.Content[key]; was {
			delete(next.Content, key)
			next.Deleted = append(next.Deleted, key)
		}
	}
	for _, key := range slices.Concat(c.Added, c.Changed) {
		v, err := f.one(key, c.Content[key])
		_, was := next.Content[key]
		switch {
		case err != nil:
			if next.Bad == nil {
				next.Bad = make(map[string]error)
			}
			next.Bad[key] = err
			if was {
				delete(next.Content, key)
				next.Deleted = append(next.Deleted, key)
			}
			continue
		case was:
			next.Changed = append(next.Changed, key)
		default:
			next.Added = append(next.Added, key)
		}
		delete(next.Bad, key)
		next.Content[key] = v
	}
	return next
}
