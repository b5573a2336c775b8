package redact

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// wordLength is the length from which on a secret is hidden inside of words too.
const wordLength = 6

// encodedLength is the length from which on the Base64 and the hexadecimal digits of a
// secret are hidden. Those of a shorter one are in too many texts by accident.
const encodedLength = 8

// prefixLength is how many bytes of a pattern are looked up before it is compared.
const prefixLength = 4

// pattern is a spelling of a secret.
type pattern struct {
	text string
	// word says that the pattern is hidden only between other characters than letters
	// and digits.
	word bool
	// run says that the letters and digits around it are hidden too, because they
	// have the rest of the secret in Base64.
	run bool
}

// patterns finds the spellings of secrets in a text. Its texts are folded: letters are
// small, and + is a blank, as in a form.
type patterns struct {
	first  [256]bool
	second [256]bool
	prefix map[[prefixLength]byte][]pattern // the longest first
}

// fold is the table of folded bytes.
var fold = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c + 'a' - 'A'
	}
	t['+'] = ' '
	return t
}()

func folded(s string) string {
	out := []byte(s)
	for i, c := range out {
		out[i] = fold[c]
	}
	return string(out)
}

// newPatterns makes the patterns of secrets. It returns nil when there are none.
func newPatterns(secrets []string) *patterns {
	p := &patterns{prefix: map[[prefixLength]byte][]pattern{}}
	for _, s := range secrets {
		for _, part := range parts(strings.TrimSpace(s)) {
			p.addSecret(part)
		}
	}
	if len(p.prefix) == 0 {
		return nil
	}
	for _, list := range p.prefix {
		slices.SortFunc(list, func(a, b pattern) int { return len(b.text) - len(a.text) })
	}
	return p
}

// parts returns a secret and the secrets inside of it: the password of an address and the
// code of a webhook.
func parts(s string) []string {
	out := []string{s}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return out
	}
	if password, ok := u.User.Password(); ok {
		out = append(out, password)
	}
	if !strings.HasSuffix(u.Path, "/") {
		out = append(out, s+"/")
	}
	if path := strings.Split(strings.Trim(u.Path, "/"), "/"); len(path) >= 3 && path[len(path)-3] == "rest" {
		out = append(out, path[len(path)-1])
	}
	return out
}

func (p *patterns) addSecret(s string) {
	if len(s) < MinLength {
		return
	}
	for _, text := range []string{s, strings.ToLower(s), strings.ToUpper(s)} {
		p.addLevels(text)
	}
	if len(s) < encodedLength {
		return
	}
	p.add(pattern{text: hex.EncodeToString([]byte(s))})
	// In Base64 a secret starts at one of three places of a group. The characters
	// that depend on its neighbours are omitted.
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), s...))
		text = text[(shift*8+5)/6 : (shift+len(s))*8/6]
		p.add(pattern{text: text, run: true})
		p.add(pattern{text: strings.NewReplacer("+", "-", "/", "_").Replace(text), run: true})
	}
}

// addLevels adds a secret as it is and with each level of its escapes undone: find undoes
// the escapes of the whole text.
func (p *patterns) addLevels(s string) {
	level := decoded{text: []byte(s)}
	for ok := true; ok && len(level.text) >= MinLength; level, ok = decode(level) {
		p.add(pattern{text: string(level.text), word: len(s) < wordLength})
	}
}

func (p *patterns) add(x pattern) {
	x.text = folded(x.text)
	key := [prefixLength]byte([]byte(x.text[:prefixLength]))
	if slices.Contains(p.prefix[key], x) {
		return
	}
	p.first[key[0]], p.second[key[1]] = true, true
	p.prefix[key] = append(p.prefix[key], x)
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// hide replaces the secrets in a text.
func (p *patterns) hide(s string) string {
	if p == nil || len(s) < MinLength {
		return s
	}
	return replaced(s, p.find([]byte(s)))
}

// find returns the places of the secrets in a text, in no order. They may overlap.
func (p *patterns) find(text []byte) []span {
	var out []span
	level := decoded{text: text}
	for range maxLevels + 1 {
		for _, at := range p.match(level.text) {
			from, _ := level.place(at.from)
			_, to := level.place(at.to - 1)
			out = append(out, span{int(from), int(to)})
		}
		next, ok := decode(level)
		if !ok {
			break
		}
		level = next
	}
	return out
}

// match returns the places of the patterns in a text.
func (p *patterns) match(text []byte) []span {
	var out []span
	for i := 0; i+prefixLength <= len(text); i++ {
		if !p.first[fold[text[i]]] || !p.second[fold[text[i+1]]] {
			continue
		}
		key := [prefixLength]byte{fold[text[i]], fold[text[i+1]], fold[text[i+2]], fold[text[i+3]]}
		for _, x := range p.prefix[key] {
			if at, ok := x.at(text, i); ok {
				out = append(out, at)
				break // the next ones are shorter
			}
		}
	}
	return out
}

// at returns the part of a text to hide if the pattern is at a place of it.
func (x pattern) at(text []byte, i int) (span, bool) {
	to := i + len(x.text)
	if to > len(text) {
		return span{}, false
	}
	for j, c := range text[i:to] {
		if fold[c] != x.text[j] {
			return span{}, false
		}
	}
	if x.word && (i > 0 && isWord(text[i-1]) || to < len(text) && isWord(text[to])) {
		return span{}, false
	}
	for x.run && i > 0 && isBase64(text[i-1]) {
		i--
	}
	for x.run && to < len(text) && isBase64(text[to]) {
		to++
	}
	return span{i, to}, true
}

func isWord(c byte) bool {
	c = fold[c]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80
}

// isBase64 reports whether a byte is a character of Base64 that is in no path.
func isBase64(c byte) bool {
	return c == '+' || c == '-' || c == '_' || c == '=' || c < 0x80 && isWord(c)
}

// replaced returns the text with Hidden in the places of the list.
func replaced(s string, list []span) string {
	if len(list) == 0 {
		return s
	}
	slices.SortFunc(list, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	end := 0
	for _, at := range list {
		if at.from >= end {
			b.WriteString(s[end:at.from])
			b.WriteString(Hidden)
		}
		end = max(end, at.to)
	}
	b.WriteString(s[end:])
	return b.String()
}
