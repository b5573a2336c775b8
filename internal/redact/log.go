package redact

import (
	"context"
	"encoding"
	"fmt"
	"log/slog"
)

// Handler returns a log handler that hides secrets in the message and the attributes of
// each record before h gets it.
func (r *Redactor) Handler(h slog.Handler) slog.Handler { return &handler{r, h} }

// Logger returns a log that hides secrets before l gets them. It returns l itself if l
// does that already.
func (r *Redactor) Logger(l *slog.Logger) *slog.Logger {
	if h, ok := l.Handler().(*handler); ok && h.redactor == r {
		return l
	}
	return slog.New(r.Handler(l.Handler()))
}

type handler struct {
	redactor *Redactor
	next     slog.Handler
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, in slog.Record) error {
	out := slog.NewRecord(in.Time, in.Level, h.redactor.Text(in.Message), in.PC)
	in.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(list []slog.Attr) slog.Handler {
	return &handler{h.redactor, h.next.WithAttrs(h.attrs(list))}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.redactor, h.next.WithGroup(h.redactor.Text(name))}
}

func (h *handler) attrs(list []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(list))
	for i, a := range list {
		out[i] = h.attr(a)
	}
	return out
}

func (h *handler) attr(a slog.Attr) slog.Attr {
	return slog.Attr{Key: h.redactor.Text(a.Key), Value: h.value(a.Value.Resolve())}
}

func (h *handler) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(h.redactor.Text(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindAny:
		text := textOf(v.Any())
		if shown := h.redactor.Text(text); shown != text {
			return slog.StringValue(shown)
		}
	}
	return v
}

// textOf is a value as a log shows it.
func textOf(v any) string {
	switch x := v.(type) {
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return string(text)
		}
	case []byte:
		return string(x)
	}
	return fmt.Sprintf("%+v", v)
}
