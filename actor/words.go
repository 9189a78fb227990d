package actor

import "unsafe"

// The two words of a value in an interface. Reflection tells the same, in ten
// times the time, which counts where every message passes by.

// typeWord returns a number for the type of v: its address. Types are never moved
// or freed as long as somebody knows them.
func typeWord(v any) uintptr { return uintptr((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[0]) }

// pointerWord returns v, which is a pointer.
func pointerWord(v any) unsafe.Pointer { return (*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1] }
