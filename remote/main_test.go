package remote_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if run := processes[os.Getenv(envProcess)]; run != nil {
		run() // we were started by a test
		return
	}
	goleak.VerifyTestMain(m)
}
