package secretsmanager

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	tokenLength = [2]int{32, 64} // of a ClientRequestToken
)

// versionID checks a ClientRequestToken, which becomes a version id, or makes one.
func versionID(token string) (string, *apiError) {
	if token == "" {
		return NewID(), nil
	}
	if len(token) < tokenLength[0] || len(token) > tokenLength[1] {
		return "", errParameter("ClientRequestToken must be %d-%d characters long.", tokenLength[0], tokenLength[1])
	}
	return token, nil
}

// newValue checks what CreateSecret and PutSecretValue store; nil if there is
// nothing.
func newValue(text *string, binary []byte) (*value, *apiError) {
	switch {
	case text != nil && binary != nil:
		return nil, errParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case text != nil && *text == "":
		return nil, errParameter("You must provide a non-empty SecretString.")
	case text != nil && len(*text) > maxValue, len(binary) > maxValue:
		return nil, errValidation("1 validation error detected: the secret value must have length less than or equal to %d", maxValue)
	case text == nil && binary == nil:
		return nil, nil
	}
	return &value{text: text, binary: binary, stored: time.Now()}, nil
}

type versionOutput struct {
	ARN           string
	Name          string
	VersionId     string   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
}

func (s *Server) createSecret(call *Call, in struct {
	Name, Description, ClientRequestToken, KmsKeyId string
	SecretString                                    *string
	SecretBinary                                    []byte
	Tags                                            json.RawMessage
}) (any, *apiError) {
	call.SecretID = in.Name
	if !nameForm.MatchString(in.Name) {
		return nil, errValidation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	id, failure := versionID(in.ClientRequestToken)
	if failure != nil {
		return nil, failure
	}
	val, failure := newValue(in.SecretString, in.SecretBinary)
	if failure != nil {
		return nil, failure
	}
	for _, other := range s.secrets {
		if other.name == in.Name && !other.deleted.IsZero() {
			return nil, errNameOfDeleted()
		}
		if other.name == in.Name {
			if v := other.version(in.ClientRequestToken); v != nil && val != nil && v.value != nil && v.value.equals(val) {
				return versionOutput{ARN: other.arn, Name: other.name, VersionId: v.id}, nil
			}
			return nil, errSecretExists(in.Name)
		}
	}
	now := time.Now()
	sec := &secret{
		arn:         s.newARN(in.Name),
		name:        in.Name,
		description: in.Description,
		kmsKeyID:    in.KmsKeyId,
		tags:        in.Tags,
		created:     now,
		changed:     now,
	}
	s.secrets = append(s.secrets, sec)
	out := versionOutput{ARN: sec.arn, Name: sec.name}
	if val != nil {
		if _, _, failure := sec.put(id, []string{labelCurrent}, val, s.period(keptFor)); failure != nil {
			return nil, failure
		}
		out.VersionId = id
		call.VersionID, call.Stages = id, []string{labelCurrent}
	}
	return out, nil
}

func (s *Server) newARN(name string) string {
	return "arn:" + partition(s.options.Region) + ":secretsmanager:" + s.options.Region + ":" + s.options.AccountID + ":secret:" + name + arnSuffix()
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	}
	return "aws"
}

type description struct {
	ARN, Name          string
	Description        string              `json:",omitempty"`
	KmsKeyId           string              `json:",omitempty"`
	Tags               json.RawMessage     `json:",omitempty"`
	RotationEnabled    *bool               `json:",omitempty"`
	RotationLambdaARN  string              `json:",omitempty"`
	RotationRules      *rotationRules      `json:",omitempty"`
	LastRotatedDate    *epoch              `json:",omitempty"`
	LastChangedDate    *epoch              `json:",omitempty"`
	LastAccessedDate   *epoch              `json:",omitempty"`
	NextRotationDate   *epoch              `json:",omitempty"`
	DeletedDate        *epoch              `json:",omitempty"`
	CreatedDate        *epoch              `json:",omitempty"`
	VersionIdsToStages map[string][]string `json:",omitempty"`
	// SecretVersionsToStages is what ListSecrets calls the same thing.
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

func (sec *secret) describe() description {
	d := description{
		ARN: sec.arn, Name: sec.name, Description: sec.description, KmsKeyId: sec.kmsKeyID, Tags: sec.tags,
		RotationLambdaARN: sec.rotation.functionARN,
		RotationRules:     sec.rotation.shownRules(),
		LastChangedDate:   stamp(sec.changed),
		LastAccessedDate:  stamp(sec.accessed),
		NextRotationDate:  stamp(sec.rotation.next),
		DeletedDate:       stamp(sec.deleted),
		CreatedDate:       stamp(sec.created),
	}
	if sec.rotation.functionARN != "" {
		enabled := sec.rotation.enabled
		d.RotationEnabled = &enabled
	}
	if sec.rotation.enabled {
		d.LastRotatedDate = stamp(sec.rotation.last)
	}
	return d
}

// stages has the labels of each version that carries any.
func (sec *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, v := range sec.versions {
		if len(v.labels) > 0 {
			stages[v.id] = slices.Clone(v.labels)
		}
	}
	return stages
}

func (s *Server) describeSecret(_ *Call, in struct{ SecretId string }) (any, *apiError) {
	sec, failure := s.lookUp(in.SecretId) // also one that is marked for deletion
	if failure != nil {
		return nil, failure
	}
	d := sec.describe()
	d.VersionIdsToStages = sec.stages()
	return d, nil
}

func (s *Server) getSecretValue(call *Call, in struct{ SecretId, VersionId, VersionStage string }) (any, *apiError) {
	call.VersionID = in.VersionId
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	v, failure := sec.find(in.VersionId, in.VersionStage)
	if failure != nil {
		return nil, failure
	}
	if time.Since(v.value.stored) < s.options.ReadLag {
		if in.VersionId == "" {
			return nil, errLabelNotFound(cmp.Or(in.VersionStage, labelCurrent))
		}
		return nil, errVersionNotFound(v.id)
	}
	call.VersionID, call.Stages = v.id, slices.Clone(v.labels)
	v.accessed = time.Now().Truncate(24 * time.Hour)
	sec.accessed = v.accessed
	return struct {
		ARN, Name, VersionId string
		SecretString         *string `json:",omitempty"`
		SecretBinary         []byte  `json:",omitempty"`
		VersionStages        []string
		CreatedDate          epoch
	}{sec.arn, sec.name, v.id, v.value.text, v.value.binary, slices.Clone(v.labels), epoch(v.created)}, nil
}

func (s *Server) putSecretValue(call *Call, in struct {
	SecretId, ClientRequestToken, RotationToken string
	SecretString                                *string
	SecretBinary                                []byte
	VersionStages                               []string
}) (any, *apiError) {
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	id, failure := versionID(in.ClientRequestToken)
	if failure != nil {
		return nil, failure
	}
	labels := in.VersionStages
	if labels == nil {
		labels = []string{labelCurrent}
	}
	call.VersionID, call.Stages = id, labels
	if len(labels) == 0 || slices.Contains(labels, "") {
		return nil, errValidation("1 validation error detected: VersionStages must have length greater than or equal to 1")
	}
	val, failure := newValue(in.SecretString, in.SecretBinary)
	if failure != nil {
		return nil, failure
	}
	if val == nil {
		return nil, errParameter("You must provide either SecretString or SecretBinary.")
	}
	current, pending := sec.labelled(labelCurrent), sec.labelled(labelPending)
	v, ignored, failure := sec.put(id, labels, val, s.period(keptFor))
	if failure != nil {
		return nil, failure
	}
	call.Ignored = ignored
	if sec.labelled(labelCurrent) != current {
		if pending != nil && pending.isUnfinished() {
			pending.remove(labelPending)
		}
		s.plan(sec)
	}
	s.tellIfAbandoned(sec, pending)
	return versionOutput{sec.arn, sec.name, v.id, slices.Clone(v.labels)}, nil
}

func (s *Server) updateSecretVersionStage(call *Call, in struct{ SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId string }) (any, *apiError) {
	call.VersionID, call.Stages = in.MoveToVersionId, []string{in.VersionStage}
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	if in.VersionStage == "" {
		return nil, errValidation("1 validation error detected: VersionStage must have length greater than or equal to 1")
	}
	pending := sec.labelled(labelPending)
	if failure := sec.move(in.VersionStage, in.MoveToVersionId, in.RemoveFromVersionId); failure != nil {
		return nil, failure
	}
	s.tellIfAbandoned(sec, pending)
	return versionOutput{ARN: sec.arn, Name: sec.name}, nil
}

// page cuts a list for MaxResults and NextToken. The token is the number of the
// first item that was not shown.
func page[T any](items []T, maxResults int, token string, most int) ([]T, string, *apiError) {
	first := 0
	for i := range len(items) + 1 {
		if token == pageToken(i) {
			first = i
		}
	}
	if token != "" && first == 0 {
		return nil, "", errNextToken()
	}
	if maxResults < 0 || maxResults > most {
		return nil, "", errValidation("1 validation error detected: MaxResults must be between 1 and %d", most)
	}
	if maxResults == 0 {
		maxResults = most
	}
	end := min(first+maxResults, len(items))
	if end == len(items) {
		return items[first:], "", nil
	}
	return items[first:end], pageToken(end), nil
}

func (s *Server) listSecretVersionIDs(_ *Call, in struct {
	SecretId, NextToken string
	MaxResults          int
	IncludeDeprecated   bool
}) (any, *apiError) {
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	type entry struct {
		VersionId        string
		VersionStages    []string `json:",omitempty"`
		LastAccessedDate *epoch   `json:",omitempty"`
		CreatedDate      epoch
	}
	entries := []entry{}
	for _, v := range sec.versions {
		if len(v.labels) > 0 || in.IncludeDeprecated {
			entries = append(entries, entry{v.id, slices.Clone(v.labels), stamp(v.accessed), epoch(v.created)})
		}
	}
	entries, next, failure := page(entries, in.MaxResults, in.NextToken, 100)
	if failure != nil {
		return nil, failure
	}
	return struct {
		ARN, Name string
		Versions  []entry
		NextToken string `json:",omitempty"`
	}{sec.arn, sec.name, entries, next}, nil
}

func (s *Server) listSecrets(_ *Call, in struct {
	NextToken              string
	MaxResults             int
	IncludePlannedDeletion bool
}) (any, *apiError) {
	list := []description{}
	for _, sec := range s.secrets {
		if sec.deleted.IsZero() || in.IncludePlannedDeletion {
			d := sec.describe()
			d.SecretVersionsToStages = sec.stages()
			list = append(list, d)
		}
	}
	list, next, failure := page(list, in.MaxResults, in.NextToken, 100)
	if failure != nil {
		return nil, failure
	}
	return struct {
		SecretList []description
		NextToken  string `json:",omitempty"`
	}{list, next}, nil
}

func (s *Server) deleteSecret(_ *Call, in struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}) (any, *apiError) {
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil:
		return nil, errParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days < 7 || days > 30:
		return nil, errParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	type output struct {
		ARN, Name    string
		DeletionDate epoch
	}
	now := time.Now()
	sec, failure := s.lookUp(in.SecretId)
	switch {
	case failure != nil && in.ForceDeleteWithoutRecovery && in.SecretId != "":
		// "the operation does not return the error ResourceNotFoundException in
		// order to correctly handle retries"
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html).
		return output{s.newARN(in.SecretId), in.SecretId, epoch(now)}, nil
	case failure != nil:
		return nil, failure
	case in.ForceDeleteWithoutRecovery:
		sec.deleted, sec.gone = now, now
		s.secrets = slices.DeleteFunc(s.secrets, func(other *secret) bool { return other == sec })
		return output{sec.arn, sec.name, epoch(now)}, nil
	case !sec.deleted.IsZero():
		return nil, errDeleted()
	}
	sec.deleted, sec.gone = now, now.Add(s.period(time.Duration(days)*24*time.Hour))
	sec.rotation.next = time.Time{}
	return output{sec.arn, sec.name, epoch(sec.gone)}, nil
}

// restoreSecret undoes DeleteSecret. Rotation stays as it was configured.
func (s *Server) restoreSecret(_ *Call, in struct{ SecretId string }) (any, *apiError) {
	sec, failure := s.lookUp(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	sec.deleted, sec.gone = time.Time{}, time.Time{}
	s.plan(sec)
	return versionOutput{ARN: sec.arn, Name: sec.name}, nil
}
