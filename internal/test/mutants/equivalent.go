package main

// equivalents are the mutants that change nothing that matters, by key, and
// why.
var equivalents = map[string]string{
	"calls.go pause: > → >=":                       "they differ where nothing is left to wait, to the nanosecond",
	"calls.go sleep: <= → <":                       "they differ where just that time is left, to the nanosecond",
	"calls.go sleep: defer timer.Stop() → nothing": "it frees a timer earlier than the garbage collector does",

	"candidates.go made: < → <=":               "of two equal dates, either will do",
	"candidates.go isYoung: >= → >":            "they differ for a token of this very nanosecond",
	"candidates.go isYoung: < → <=":            "they differ for an age of PropagationTimeout, to the nanosecond",
	"candidates.go findLiving: true → !(true)": "whoever gets a living token does not ask whether the others are dead",

	"createsecret.go checkRoom: < → <=":        "they differ for a version of 24 hours, to the nanosecond",
	"createsecret.go awaitReaders: > → >=":     "they differ at 30 s, to the nanosecond",
	"createsecret.go awaitReaders: < → <= (2)": "they differ where just that time is left, to the nanosecond",
	"finishsecret.go awaitReplicas: > → >=":    "they differ at 45 s, to the nanosecond",
	"memory.go secretName: > → >=":             "an id of seven characters that begins with arn: does not begin with a hyphen",
	"rotatetoken.go decide: < → <=":            "they differ at 30 s, to the nanosecond",
	"rotatetoken.go isStale: > → >=":           "they differ 2 s after the read, to the nanosecond",
	"rotatetoken.go rotate: < → <=":            "they differ where just that time is left, to the nanosecond",

	"rotation.go look: false → !(false)":     "every caller returns the error before it asks whether there is nothing to do",
	"rotation.go look: false → !(false) (2)": "every caller returns the error before it asks whether there is nothing to do",
	"rotation.go look: false → !(false) (3)": "every caller returns the error before it asks whether there is nothing to do",
	"rotation.go look: false → !(false) (4)": "every caller returns the error before it asks whether there is nothing to do",

	"storepending.go fitsPending: err != nil || !d.RotationEnabled → !d.RotationEnabled": "a description that could not be read says that rotation is off",

	"storepending.go fitsPending: err != nil || known.olderThan(inv.VersionID, current) → known.olderThan(inv.VersionID, current)": "a value that could not be read holds no token that was replaced",

	"value.go WithTokens: < → <=": "two tokens do not begin at the same byte",
}
