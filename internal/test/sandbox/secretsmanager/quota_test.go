package secretsmanager

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func mustExceedQuota(t *testing.T, err error) {
	t.Helper()
	if failure, ok := errors.AsType[smithy.APIError](err); !ok || failure.ErrorCode() != "LimitExceededException" {
		t.Errorf("got %v, want LimitExceededException", err)
	}
}

func TestASecretHasRoomForAHundredVersionsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{})
		last := maxVersions + 2 // AWSPREVIOUS and AWSCURRENT have labels
		for n := 2; n <= last; n++ {
			if err := a.put(id(n), fmt.Sprint(n)); err != nil {
				t.Fatalf("version %d: %v", n, err)
			}
		}
		mustExceedQuota(t, a.put(id(last+1), "one too many"))
		if err := a.put(id(last), fmt.Sprint(last)); err != nil {
			t.Errorf("the write of a value that is there already: %v", err)
		}
		time.Sleep(keptFor)
		if err := a.put(id(last+1), "a day later"); err != nil {
			t.Error(err)
		}
	})
}

func TestASecretHasRoomForTwentyLabels(t *testing.T) {
	a := openAccount(t, Options{})
	for n := 2; n <= maxLabels; n++ { // one is AWSCURRENT
		if err := a.put(id(n), fmt.Sprint(n), fmt.Sprint("label-", n)); err != nil {
			t.Fatalf("label %d: %v", n, err)
		}
	}
	mustExceedQuota(t, a.put(id(50), "fifty", "one-too-many"))
	if err := a.put(id(50), "fifty", "label-2"); err != nil {
		t.Errorf("a label that moves: %v", err)
	}
}
