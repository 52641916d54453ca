package main

import (
	"context"
	"fmt"
	"time"
)

// outageAim is how long AWSCURRENT may hold no working token if a new one takes
// so long until it works.
func outageAim(propagation time.Duration) time.Duration {
	if propagation >= 2*time.Second {
		return propagation*115/100 + time.Second
	}
	return propagation + time.Second
}

// outage measures how long AWSCURRENT holds no working token, from the old
// token's death to the moment when the new one, which works by then, is
// AWSCURRENT.
func (b *bench) outage(ctx context.Context) (figures []figure, err error) {
	propagations := []time.Duration{0, 2 * time.Second, 10 * time.Second}
	samples := make([]sample, len(propagations))
	for round := range b.rounds(5, 2) {
		for i, propagation := range propagations {
			if b.quick && round > 0 && propagation > 2*time.Second {
				continue
			}
			r, err := b.rotateOnce(ctx, propagation)
			if err != nil {
				return nil, err
			}
			if r.outage() < propagation {
				return nil, fmt.Errorf("the new token was AWSCURRENT after %s, and it works after %s", r.outage(), propagation)
			}
			samples[i].add(r.outage().Seconds())
		}
	}
	for i, propagation := range propagations {
		s, aim := samples[i], outageAim(propagation)
		s.name, s.unit = fmt.Sprintf("outage at P = %.0f s", propagation.Seconds()), "s"
		figures = append(figures, figure{
			name:      s.name,
			ours:      s.inShort(),
			yardstick: fmt.Sprintf("P itself, %.0f s", propagation.Seconds()),
			ratio:     fmt.Sprintf("P + %.3f s", s.median()-propagation.Seconds()),
			aim:       fmt.Sprintf("at most %.1f s", aim.Seconds()),
			verdict:   metIf(s.median() <= aim.Seconds()),
			samples:   []sample{s},
		})
	}
	return figures, nil
}
