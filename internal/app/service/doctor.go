package service

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/refused"
)

// DoctorPortal returns what package doctor needs to examine a portal of the
// configuration with the current rules.
func (s *Service) DoctorPortal(name string, now func() time.Time) doctor.Portal {
	p := s.portals.get(name)
	out := doctor.Portal{
		Name: name, Client: p.Client, Webhook: p.app == nil, Zone: p.Zone, Now: now, Latest: s.latestEvent(name),
		Arrivals: s.arrivals(name, now), Limited: s.limited(name, now), Hook: s.config.Load().Hook(name),
	}
	for _, c := range s.config.Load().Portals {
		if c.Name != name {
			continue
		}
		out.URL, out.Insecure, out.Offline, out.Shared, out.NoToken = c.Webhook.Reveal(), c.Insecure, c.Offline, c.Shared, c.HasPlaceholder()
		if c.OAuth != nil {
			out.URL = c.OAuth.Portal
		}
	}
	for r, inputs := range s.rules.Current().Rules(name) {
		out.Rules = append(out.Rules, doctor.Rule{Rule: r, Inputs: inputs})
	}
	return out
}

// DealEvents returns a function that finds the codes of the events of a deal that arrived at a time or later, sorted and each once.
func (s *Service) DealEvents(portal string) func(ctx context.Context, id int, since time.Time) ([]string, error) {
	return func(ctx context.Context, id int, since time.Time) ([]string, error) {
		events, err := journal.FindEvents(ctx, s.queue.Database(), journal.EventFilter{Portal: portal, From: since, Limit: 1000})
		if err != nil {
			return nil, err
		}
		var out []string
		for _, e := range events {
			var data struct {
				Fields struct {
					ID bitrix.ID
				} `json:"FIELDS"`
			}
			// Events of other kinds have data of another form.
			if json.Unmarshal(e.Data, &data) == nil && int(data.Fields.ID) == id && strings.HasPrefix(e.Code, "ONCRMDEAL") {
				out = append(out, e.Code)
			}
		}
		slices.Sort(out)
		return slices.Compact(out), nil
	}
}

// latestEvent returns when the latest event of a portal with a code arrived.
func (s *Service) latestEvent(portal string) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, code string) (time.Time, error) {
		events, err := journal.FindEvents(ctx, s.queue.Database(), journal.EventFilter{Portal: portal, Code: code, Limit: 1})
		if err != nil || len(events) == 0 {
			return time.Time{}, err
		}
		return events[0].Received, nil
	}
}

// limited returns how many requests of serve a portal has refused because of its rate limit
// in the last hour or two.
func (s *Service) limited(portal string, now func() time.Time) func(context.Context) (doctor.Refused, error) {
	return func(ctx context.Context) (doctor.Refused, error) {
		c, err := refused.New(s.queue.Database()).Since(ctx, portal, refused.KindRate, now().Add(-time.Hour))
		return doctor.Refused{Requests: c.Requests, Last: c.Last}, err
	}
}

// arrivals returns what has reached the program for a portal.
func (s *Service) arrivals(portal string, now func() time.Time) func(context.Context) (doctor.Arrivals, error) {
	return func(ctx context.Context) (doctor.Arrivals, error) {
		var out doctor.Arrivals
		var err error
		if out.Last, err = report.LastFromPortal(ctx, s.queue, portal, time.Time{}); err != nil {
			return out, err
		}
		counts, since := refused.New(s.queue.Database()), now().Add(-24*time.Hour)
		for name, to := range map[string]*doctor.Refused{portal: &out.Wrong, "": &out.Elsewhere} {
			c, err := counts.Since(ctx, name, ingest.KindEvent, since)
			if err != nil {
				return out, err
			}
			*to = doctor.Refused{Requests: c.Requests, Last: c.Last, Asked: c.Asked}
		}
		return out, nil
	}
}
