package supervision_test

import (
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, program) }
