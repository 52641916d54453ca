package rotation

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/secret"
)

// settleTime is how long search waits for a concurrent createSecret that may be
// about to store its token.
const settleTime = 5 * time.Second

// search looks in the secret for a token that replaced the one Panther
// refuses: a cancelled rotation, a stale save, a label moved back by hand or a
// second invocation leaves it in another version.
func (x *exchange) search(ctx context.Context) (nextToken, *AnswerError, error) {
	refused := x.current.value.Next()
	versions, err := x.readLineage(ctx)
	if err != nil {
		return nextToken{}, x.last, nil // readLineage has logged it
	}
	made := x.made(versions, refused)
	if x.isYoung(made) {
		x.youth = x.PropagationTimeout - time.Since(made.at)
		return nextToken{}, x.last, nil // it may only need time
	}
	if err := x.awaitOther(ctx); err != nil {
		return nextToken{}, nil, err
	}

	standby, two := x.current.value.Standby()
	found, certain := x.findLiving(ctx, versions.candidates(made, standby, x.current.value.Tokens()...), versions.partial)
	if two && found == nil && certain {
		found, certain = x.findActiveSuccessor(ctx, versions, made)
	}
	switch {
	case found != nil:
		if err := x.checkUnchanged(ctx); err != nil {
			return nextToken{}, nil, err
		}
		next := x.adopt(ctx, *found, versions)
		EventSuccessorFound.Log(x.log, "successor", found.version.ID)
		return next, nil, nil
	case !certain:
		return nextToken{}, x.last, nil
	}
	answer, err := x.refused(ctx, versions)
	return nextToken{}, answer, err
}

// findActiveSuccessor looks for the token that replaced the active of two
// tokens, if Panther refuses that as well. It may stand together with the
// standby, so it must be younger than both.
func (x *exchange) findActiveSuccessor(ctx context.Context, versions lineage, standby origin) (found *candidate, certain bool) {
	answer := x.checkActive(ctx, versions)
	if answer == nil || answer.Answer != Unauthorized {
		return nil, true
	}
	younger := slices.MaxFunc([]origin{standby, x.made(versions, x.current.value.Active())}, origin.compare)
	return x.findLiving(ctx, versions.candidates(younger, secret.Text{}, x.current.value.Tokens()...), versions.partial)
}

// made returns the origin of a token of AWSCURRENT.
func (x *exchange) made(versions lineage, token secret.Text) origin {
	if made, ok := versions.made(token); ok {
		return made
	}
	return origin{at: x.current.Created}
}

// checkActive asks whether the active of two tokens works. A refusal says
// nothing while the token is young.
func (x *exchange) checkActive(ctx context.Context, versions lineage) *AnswerError {
	active := x.current.value.Active()
	answer := x.checkTwice(ctx, active)
	if answer != nil && x.isYoung(x.made(versions, active)) {
		return &AnswerError{Answer: Ambiguous, Summary: "the active token may be too new"}
	}
	return answer
}

// awaitOther waits a few seconds for another invocation's token.
func (x *exchange) awaitOther(ctx context.Context) error {
	for until := time.Now().Add(settleTime); ; {
		if err := x.checkStillEmpty(ctx); err != nil {
			return err
		}
		if time.Now().After(until) || !sleep(ctx, time.Second) {
			return nil
		}
	}
}

// adopt builds the value with a living token of another version. Only tokens
// move. The standby stays the active token of now, unless Panther refuses it.
func (x *exchange) adopt(ctx context.Context, found candidate, versions lineage) nextToken {
	refused, standby := x.current.value.Next(), secret.Text{}
	if _, two := x.current.value.Standby(); two {
		standby = x.current.value.Active()
		if answer := x.checkActive(ctx, versions); answer != nil && answer.Answer == Unauthorized {
			standby = x.otherLiving(ctx, found, standby, versions)
		}
	}
	return nextToken{
		token: found.token, value: x.current.value.WithTokens(found.token, standby), replaced: refused,
		replacedVersion: x.current.ID, adopted: true, successorID: found.version.ID, secretARN: x.SecretID, rotationToken: x.RotationToken,
	}
}

// otherLiving returns the candidate's other token if it is younger than the
// dead one and works, else dead.
func (x *exchange) otherLiving(ctx context.Context, found candidate, dead secret.Text, versions lineage) secret.Text {
	for _, token := range found.version.tokens {
		younger := x.made(versions, token).compare(x.made(versions, dead)) > 0
		if younger && !token.Equal(found.token) && x.check(ctx, token) == nil {
			return token
		}
	}
	x.tellStandbyDead()
	return dead
}

func (inv *invocation) tellStandbyDead() {
	EventStandbyRefused.Log(inv.log)
	inv.measure(Measurement{Event: StandbyDead})
}

// lineage is the versions of a secret, with the tokens that they hold. It
// shows the age of tokens.
type lineage struct {
	versions []lineageVersion
	// partial: a version could not be read. It counts as holding nothing.
	partial bool
}

type lineageVersion struct {
	VersionInfo
	tokens []secret.Text
}

// readLineage reads every version. One that cannot be read is read again for
// some seconds: without it, a stale save can seem to be the oldest version that
// holds a token.
func (inv *invocation) readLineage(ctx context.Context) (lineage, error) {
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	infos, err := inv.versions(ctx)
	if err != nil {
		return lineage{}, err
	}
	var l lineage
	for until := time.Now().Add(settleTime); ; {
		infos = slices.DeleteFunc(infos, func(info VersionInfo) bool {
			if info.ID == inv.VersionID {
				return true
			}
			v, err := inv.readOnce(ctx, info.ID)
			if err != nil {
				return false
			}
			l.versions = append(l.versions, lineageVersion{info, inv.tokens(v.Value)})
			return true
		})
		if len(infos) == 0 || time.Now().After(until) || !sleep(ctx, time.Second) {
			l.partial = len(infos) > 0
			return l, nil
		}
	}
}

// readOnce reads a version that may have no value.
func (inv *invocation) readOnce(ctx context.Context, id string) (v Version, err error) {
	err = within(ctx, callTime, func(ctx context.Context) (err error) {
		v, err = inv.Store.Read(ctx, inv.SecretID, id)
		return err
	})
	if errors.Is(err, ErrNoValue) || errors.Is(err, secret.ErrBinary) {
		return Version{}, nil
	}
	if err != nil {
		EventReadFailed.Log(inv.log, "successor", id, "error", err.Error())
	}
	return v, err
}

func (v lineageVersion) holds(token secret.Text) bool {
	return slices.ContainsFunc(v.tokens, token.Equal)
}

// origin is when a token was made, as far as the versions tell.
type origin struct {
	at time.Time
	// after: right after that, by rotating the token of a version.
	after bool
}

func (o origin) compare(p origin) int {
	if c := o.at.Compare(p.at); c != 0 || o.after == p.after {
		return c
	}
	if o.after {
		return 1
	}
	return -1
}

// made returns the origin of a token: the date of the oldest version that
// holds it. The new token of a successor version was made by a rotation,
// however late it was stored, and its id shows which.
func (l lineage) made(token secret.Text) (oldest origin, ok bool) {
	successor := slices.ContainsFunc(l.versions, func(v lineageVersion) bool { return v.isSuccessorWith(token) })
	for _, v := range l.versions {
		at, counts := origin{at: v.Created}, v.holds(token)
		if successor { // then no other version counts
			at, counts = l.madeBy(v, token)
		}
		if counts && (!ok || at.compare(oldest) < 0) {
			oldest, ok = at, true
		}
	}
	return oldest, ok
}

func (v lineageVersion) isSuccessorWith(token secret.Text) bool {
	return isSuccessorID(v.ID) && len(v.tokens) > 0 && v.tokens[0].Equal(token)
}

// madeBy returns the origin of the token if it is the new one of this successor
// version: right after the version whose token it replaced. Where another
// invocation filled the version that it was made for, right after that one: both
// tokens come from the same call, and the later one must be found. If these
// versions are gone, the origin is unknown.
func (l lineage) madeBy(successor lineageVersion, token secret.Text) (origin, bool) {
	if !successor.isSuccessorWith(token) {
		return origin{}, false
	}
	for _, v := range l.versions {
		if madeFor(successor.ID, v.ID) && len(v.tokens) > 0 && !v.holds(token) {
			return origin{at: v.Created, after: true}, true
		}
	}
	for _, v := range l.versions {
		if replaces(successor.ID, v.ID) {
			return origin{at: v.Created, after: true}, true
		}
	}
	return origin{}, false
}

// isYoung reports whether a token may not work yet. A date in the future is
// not young: clocks differ.
func (inv *invocation) isYoung(o origin) bool {
	age := time.Since(o.at)
	return age >= 0 && age < inv.PropagationTimeout
}

// candidate is a token that may replace a refused one.
type candidate struct {
	version lineageVersion
	token   secret.Text
	made    origin
}

// candidates returns the tokens that are younger than the refused one, the
// newest first, without those of excluded. Versions that carry a label of the
// operator's do not count, and neither do those that hold standby, the refused
// one of two tokens: no version has a new token together with the one it
// replaced. An empty standby leaves no version out.
func (l lineage) candidates(refused origin, standby secret.Text, excluded ...secret.Text) []candidate {
	var found []candidate
	for _, v := range l.versions {
		if !isUnused(v.Labels) || v.holds(standby) {
			continue
		}
		for _, token := range v.tokens {
			made, ok := l.made(token)
			if !ok || made.compare(refused) <= 0 || slices.ContainsFunc(excluded, token.Equal) {
				continue
			}
			found = append(found, candidate{v, token, made})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(b.made.compare(a.made), b.version.Created.Compare(a.version.Created))
	})
	return found
}

// findLiving asks Panther for the newest candidate that works. It reports
// whether it is certain that there is none. Where a candidate may be too new, or
// Panther does not say, no older one is taken: that would strand the newer.
func (inv *invocation) findLiving(ctx context.Context, candidates []candidate, partial bool) (found *candidate, certain bool) {
	var dead []secret.Text
	for _, c := range candidates {
		if slices.ContainsFunc(dead, c.token.Equal) {
			continue
		}
		answer := inv.check(ctx, c.token)
		switch {
		case answer == nil:
			return &c, true
		case answer.Answer != Unauthorized, inv.isYoung(c.made):
			return nil, false
		}
		dead = append(dead, c.token)
	}
	return nil, !partial
}

// isUnused reports whether nobody but Secrets Manager and this function has
// labelled the version.
func isUnused(labels []string) bool {
	return !slices.ContainsFunc(labels, func(label string) bool {
		return label != LabelPending && label != LabelPrevious && label != LabelSuccessor
	})
}

// successorPrefix begins the id of every successor version, by which it is
// known when its label has moved on.
const successorPrefix = "panther-successor-"

// newSuccessorID returns the id of a successor version. By hashes it names the
// version whose token was replaced and the one that the new token was made for.
// Secrets Manager wants 32 to 64 characters.
func newSuccessorID(replaced, madeFor string) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return successorPrefix + versionHash(replaced) + "-" + versionHash(madeFor) + "-" + hex.EncodeToString(random[:])
}

func versionHash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

func isSuccessorID(id string) bool { return strings.HasPrefix(id, successorPrefix) }

func replaces(successorID, id string) bool {
	return strings.HasPrefix(successorID, successorPrefix+versionHash(id)+"-")
}

func madeFor(successorID, id string) bool {
	_, second, _ := strings.Cut(strings.TrimPrefix(successorID, successorPrefix), "-")
	return strings.HasPrefix(second, versionHash(id)+"-")
}
