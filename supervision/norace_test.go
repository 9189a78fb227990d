//go:build !race

package supervision_test

const underRace = false
