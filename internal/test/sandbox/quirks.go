package sandbox

import "flag"

// Quirks makes a flag of each awkward quirk that the real services have or may
// have, with its reason. The defaults are what o holds.
func (o *Options) Quirks(flags *flag.FlagSet) {
	p, s := &o.Panther, &o.SecretsManager
	flags.DurationVar(&p.PropagationDelay, "propagation", p.PropagationDelay,
		"Panther refuses a new token for this long. The real one: \"There may be a\n"+
			"propagation delay of 30 to 60 seconds.\"")
	flags.DurationVar(&p.OldTokenGrace, "grace", p.OldTokenGrace,
		"Panther goes on taking the old token for this long. Whether the real one does is\n"+
			"not documented.")
	flags.BoolVar(&p.ForbiddenInsteadOf401, "forbidden", p.ForbiddenInsteadOf401,
		"Panther refuses tokens with 403 instead of 401, as a gateway's authorizer or a list\n"+
			"of allowed addresses does.")
	flags.BoolVar(&p.EchoToken, "echo", p.EchoToken,
		"Panther quotes the caller's token in its error messages, as careless APIs do.")
	flags.IntVar(&p.Throttle, "panther-throttle-every", p.Throttle,
		"Panther answers every `n`th request with 429, as a rate limit does.")
	flags.DurationVar(&s.ReadLag, "read-lag", s.ReadLag,
		"Secrets Manager does not find a value for this long after it was stored. Users of\n"+
			"the real one report such reads.")
	flags.IntVar(&s.ThrottleEvery, "throttle-every", s.ThrottleEvery,
		"Secrets Manager answers every `n`th request with ThrottlingException.")
	flags.DurationVar(&s.RetryPause, "retry-pause", s.RetryPause,
		"Secrets Manager waits this long before it runs a failed rotation again. AWS does not\n"+
			"document when the real one does.")
}
