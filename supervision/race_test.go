//go:build race

package supervision_test

// underRace tells that everything takes ten times as long.
const underRace = true
