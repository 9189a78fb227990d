package supervision_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

const envProcess = "PORTMESH_TEST_PROCESS"

// processes are what this test program can be when a test starts it again.
var processes = map[string]func(){}

func TestMain(m *testing.M) {
	if run := processes[os.Getenv(envProcess)]; run != nil {
		run()
		return
	}
	goleak.VerifyTestMain(m)
}
