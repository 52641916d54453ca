package secretsmanager

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schedule is how a secret is rotated, and when next.
type schedule struct {
	enabled     bool
	functionARN string
	rules       *rotationRules
	last, next  time.Time
	// working has the ids of the versions for which a rotation is under way: more
	// than one when the function still works for a rotation that was abandoned.
	working map[string]bool
}

// rotationRules are as the API has them
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html).
type rotationRules struct {
	AutomaticallyAfterDays *int64 `json:",omitempty"`
	Duration               string `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
}

var (
	rateForm     = regexp.MustCompile(`^rate\(\s*(\d{1,4})\s+(hours?|days?)\s*\)$`)
	durationForm = regexp.MustCompile(`^[0-9]{1,2}h$`)
)

func (r *rotationRules) check() *apiError {
	switch {
	case r.AutomaticallyAfterDays != nil && r.ScheduleExpression != "":
		return errParameter("You cannot specify both rotation frequency and schedule expression together.")
	case r.AutomaticallyAfterDays != nil && (*r.AutomaticallyAfterDays < 1 || *r.AutomaticallyAfterDays > 1000):
		return errValidation("1 validation error detected: AutomaticallyAfterDays must be between 1 and 1000")
	case r.Duration != "" && !durationForm.MatchString(r.Duration):
		return errValidation("1 validation error detected: Duration must be a number of hours such as 3h")
	case strings.HasPrefix(r.ScheduleExpression, "cron("):
		return errParameter("The sandbox does not run cron() expressions. Use rate(n hours), rate(n days) or AutomaticallyAfterDays.")
	case r.ScheduleExpression != "" && r.interval() == 0:
		return errParameter("The ScheduleExpression is invalid. Use rate(n hours) with at least 4 hours, or rate(n days).")
	}
	return nil
}

// interval is the time between rotations; 0 if there is no schedule, or one that
// Secrets Manager does not take: it rotates every four hours at the most.
func (r *rotationRules) interval() time.Duration {
	if r == nil {
		return 0
	}
	if r.AutomaticallyAfterDays != nil {
		return time.Duration(*r.AutomaticallyAfterDays) * 24 * time.Hour
	}
	parts := rateForm.FindStringSubmatch(r.ScheduleExpression)
	if parts == nil {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	interval := time.Duration(n) * time.Hour
	if strings.HasPrefix(parts[2], "day") {
		interval *= 24
	}
	if interval < 4*time.Hour {
		return 0
	}
	return interval
}

// shownRules are the rules as DescribeSecret has them: with the days between
// rotations, which it calculates "after every successful rotation"
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html).
func (c *schedule) shownRules() *rotationRules {
	days := int64(c.rules.interval() / (24 * time.Hour))
	if days == 0 || c.last.IsZero() {
		return c.rules
	}
	shown := *c.rules
	shown.AutomaticallyAfterDays = &days
	return &shown
}

// plan sets the next rotation, counted from now.
func (s *Server) plan(sec *secret) {
	sec.rotation.next = time.Time{}
	if interval := sec.rotation.rules.interval(); sec.rotation.enabled && interval > 0 {
		sec.rotation.next = time.Now().Add(s.period(interval))
	}
}

// runSchedules starts rotations when they are due, and forgets deleted secrets when
// their time has come, until the service ends.
func (s *Server) runSchedules() {
	const idle, look = time.Second, 20 * time.Millisecond
	for wait := look; s.pause(wait); {
		s.mu.Lock()
		wait = idle // while nothing is planned
		now := time.Now()
		s.secrets = slices.DeleteFunc(s.secrets, func(sec *secret) bool {
			return !sec.gone.IsZero() && now.After(sec.gone)
		})
		for _, sec := range s.secrets {
			due := sec.rotation.next
			if !due.IsZero() || !sec.gone.IsZero() {
				wait = look
			}
			if due.IsZero() || now.Before(due) || len(sec.rotation.working) > 0 {
				continue
			}
			s.plan(sec)
			id := NewID()
			if pending := sec.labelled(labelPending); pending != nil && pending.isUnfinished() {
				id = pending.id // a rotation that failed is run again first
			}
			s.begin(sec, id, nil)
			s.start(sec, id, s.rotate)
		}
		s.mu.Unlock()
	}
}
