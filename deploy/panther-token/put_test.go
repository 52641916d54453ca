package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

func rules() *types.RotationRulesType {
	return &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}
}

func TestPutChangesOnlyTheToken(t *testing.T) {
	d := open(t, 1)
	old, before := d.token(active), d.value()
	fresh := d.Panther.NewToken("new")
	d.want(0, fresh+"\n", "The token that was replaced still works", "put", name)
	if d.value() != strings.Replace(before, old, fresh, 1) {
		t.Error("more than the token changed")
	}
	d.want(0, "", "Healthy", "status", name)
}

func TestPutAddsAStandby(t *testing.T) {
	d := open(t, 1)
	before, fresh := d.value(), d.Panther.NewToken("standby")
	d.want(0, fresh+"\n", "The new standby token is stored and works.", "put", name, "--standby")
	if want := strings.TrimSuffix(before, "}") + `, "PANTHER_API_TOKEN_STANDBY": "` + fresh + `"}`; d.value() != want {
		t.Error("more than the standby changed")
	}
	d.want(0, "", "Rotated.", "rotate", name)
	if d.token(standby) == fresh {
		t.Error("the standby was not rotated")
	}
}
