package secretsmanager_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"panther-token-rotation/internal/secretsmanager"
)

// TestVersionsListsEveryVersion is about what recovery depends on: a living token
// may be in a version that has lost its last label, and on a page behind the
// first.
func TestVersionsListsEveryVersion(t *testing.T) {
	const perPage = 2
	all := []string{
		`{"VersionId":"3","VersionStages":["AWSCURRENT"],"CreatedDate":300}`,
		`{"VersionId":"1","CreatedDate":100}`,
		`{"VersionId":"2","VersionStages":["AWSPREVIOUS"],"CreatedDate":200}`,
		`{"VersionId":"4","CreatedDate":400}`,
		`{"VersionId":"5","VersionStages":["AWSPENDING"],"CreatedDate":500}`,
	}
	s := secretsmanager.New(served(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			IncludeDeprecated bool
			MaxResults        int
			NextToken         int `json:",string"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !asked.IncludeDeprecated || asked.MaxResults != 100 {
			t.Errorf("versions without a label, and 100 at once, were not asked for: %+v, %v", asked, err)
		}
		page, next := all[asked.NextToken:], ""
		if len(page) > perPage {
			page, next = page[:perPage], fmt.Sprint(asked.NextToken+perPage)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprintf(w, `{"NextToken":%q,"Versions":[%s]}`, next, strings.Join(page, ","))
	}))
	versions, err := s.Versions(t.Context(), secretARN)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range versions {
		got = append(got, fmt.Sprintf("%s%v%d", v.ID, v.Labels, v.Created.Unix()))
	}
	if want := []string{"3[AWSCURRENT]300", "1[]100", "2[AWSPREVIOUS]200", "4[]400", "5[AWSPENDING]500"}; !slices.Equal(got, want) {
		t.Errorf("the versions are %v, want %v", got, want)
	}
}
