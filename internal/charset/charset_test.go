package charset

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// alphabets are characters of texts in windows-1251 portals, and some that the encoding
// does not have: letters of Kazakh, signs, emoji.
var alphabets = []string{
	"abcXYZ019 &=%+[]\"\\/<>\t\n", "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЁЖЗЯё", "іїєґІЇЄҐ’", "ўЎђЂћЋџЏќЌѓЃљњ",
	"№«»–—…„“”‘’•™©®°±§¶µ€\u00a0\u00ad", "әғқңөұүһӘҒҚҢӨҰҮҺ", "ăîșțßéñ中≤½😀\u0098",
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(12) {
		letters := []rune(alphabets[min(r.IntN(2*len(alphabets)), len(alphabets)-1-r.IntN(2)*2)])
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// phpConversions asks PHP for each text: its bytes in windows-1251 as iconv and as
// mbstring write them, "" for a text that iconv refuses.
func phpConversions(t *testing.T, texts []string) []string {
	t.Helper()
	program, err := exec.LookPath("php")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("PHP is not installed (apt-get install php-cli php-mbstring)")
		}
		t.Skip("PHP is not installed (apt-get install php-cli php-mbstring)")
	}
	const script = `while (($line = fgets(STDIN)) !== false) {
	$text = base64_decode(trim($line));
	$out = @iconv('UTF-8', 'windows-1251', $text);
	if ($out !== false && (mb_convert_encoding($text, 'Windows-1251', 'UTF-8') !== $out || iconv('windows-1251', 'UTF-8', $out) !== $text)) {
		fwrite(STDERR, "iconv and mbstring differ for $text\n");
	}
	echo base64_encode($out === false ? '' : $out), "\n";
}`
	var in, complaints bytes.Buffer
	for _, text := range texts {
		fmt.Fprintln(&in, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	cmd := exec.CommandContext(t.Context(), program, "-d", "display_errors=stderr", "-r", script)
	cmd.Stdin, cmd.Stderr = &in, &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("php: %v\n%.2000s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(texts) {
		t.Fatalf("php gave %d answers to %d texts", len(lines), len(texts))
	}
	for i, line := range lines {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(raw)
	}
	return lines
}

// TestEncodingAgainstPHP compares requests, answers and forms with PHP's iconv and
// mbstring.
func TestEncodingAgainstPHP(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, 5000)
	for i := range texts {
		texts[i] = randomText(r)
	}
	refused := 0
	for i, want := range phpConversions(t, texts) {
		text := texts[i]
		got, err := Windows1251.encode([]byte(text))
		if (err != nil) != (want == "") || string(got) != want {
			t.Fatalf("%q is % x, %v; PHP writes % x", text, got, err, want)
		}
		if checked := Windows1251.Check(map[string]any{"fields": map[string]any{"TITLE": text}}); (checked != nil) != (err != nil) {
			t.Fatalf("check of %q: %v", text, checked)
		}
		if err != nil {
			refused++
			continue
		}
		if back := string(Windows1251.Decode(got)); back != text {
			t.Fatalf("%q comes back as %q", text, back)
		}
		form := []byte("a=" + url.QueryEscape(want) + "&b=x")
		if back := string(Windows1251.Form("", form)); !isASCII([]byte(text)) && back != "a="+url.QueryEscape(text)+"&b=x" && !bytes.Equal([]byte(back), form) {
			t.Fatalf("the form of %q comes back as %s", text, back)
		}
		query, err := convertEscapes([]byte("crm.deal.get?fields%5BTITLE%5D="+url.QueryEscape(text)+"&id=7"), Windows1251.encode)
		if err != nil || string(query) != "crm.deal.get?fields%5BTITLE%5D="+url.QueryEscape(want)+"&id=7" {
			t.Fatalf("the query of %q is %s, %v", text, query, err)
		}
	}
	if refused < 500 || refused > 4500 {
		t.Errorf("%d of %d texts are refused: the test shows little", refused, len(texts))
	}
}

func TestEncodingCheck(t *testing.T) {
	t.Parallel()
	params := map[string]any{"id": 7, "fields": map[string]any{"TITLE": "Договір", "rows": []any{map[string]any{"NAME": "Қазақ"}}}}
	err := Windows1251.Check(params)
	if want := `fields.rows[0].NAME has the character 'Қ' (U+049A), which windows-1251 does not have`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := Encoding("").Check(params); err != nil {
		t.Errorf("UTF-8: %v", err)
	}
	if err := Windows1251.Check(map[string]any{"Қ": ""}); err == nil || !strings.Contains(err.Error(), "the name Қ") {
		t.Errorf("a name: %v", err)
	}
}

// TestEncodingOfAnswers covers answers whose encoding is not the one that they name.
func TestEncodingOfAnswers(t *testing.T) {
	t.Parallel()
	const utf8Text, cp1251 = `{"result":"Склад"}`, "{\"result\":\"\xd1\xea\xeb\xe0\xe4\"}"
	for _, tt := range []struct {
		name          string
		e             Encoding
		content, data string
		want, fault   string
	}{
		{"as configured", Windows1251, "application/json", cp1251, utf8Text, ""},
		{"as both say", Windows1251, "application/json; charset=windows-1251", cp1251, utf8Text, ""},
		{"escapes", Windows1251, "application/json; charset=utf-8", `{"result":"\u0421"}`, `{"result":"\u0421"}`, ""},
		{"the answer says UTF-8", Windows1251, "application/json; charset=UTF-8", utf8Text, utf8Text, ""},
		{"it says UTF-8 and is not", Windows1251, "application/json; charset=utf-8", cp1251, "", "the answer says that it is UTF-8, but it is not"},
		{"it is UTF-8 and does not say so", Windows1251, "application/json", utf8Text, "", "the answer is UTF-8, but not the encoding of the portal, windows-1251"},
		{"only the answer says it", "", "application/json; charset=windows-1251", cp1251, utf8Text, ""},
		{"a portal with UTF-8", "", "application/json", utf8Text, utf8Text, ""},
	} {
		got, err := tt.e.Answer(tt.content, []byte(tt.data))
		if text := fmt.Sprint(err); string(got) != tt.want || (err != nil || tt.fault != "") && text != tt.fault {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestEncodingOfForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ content, form, want string }{
		{"", "a=%D1%EA%EB%E0%E4&b=1", "a=%D0%A1%D0%BA%D0%BB%D0%B0%D0%B4&b=1"},
		{"", "a=\xd1\xea%EB\xe0%E4", "a=%D0%A1%D0%BA%D0%BB%D0%B0%D0%B4"},
		{"", "a=%41%2&%zz=%", "a=%41%2&%zz=%"},
		{"", "a=%D0%A1%D0%BA", "a=%D0%A1%D0%BA"}, // UTF-8 already
		{"application/x-www-form-urlencoded; charset=UTF-8", "a=%D1", "a=%D1"},
	} {
		if got := string(Windows1251.Form(tt.content, []byte(tt.form))); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.form, got, tt.want)
		}
	}
}

// TestEncodingOfBatches: the commands of a batch are converted before they are escaped.
func TestEncodingOfBatches(t *testing.T) {
	t.Parallel()
	got, err := Windows1251.Request("batch", []byte(`{"halt":0,"cmd":["crm.deal.list?filter%5BTITLE%5D=%D0%A1%D0%BA"],"auth":"x"}`))
	if want := `{"auth":"x","cmd":["crm.deal.list?filter%5BTITLE%5D=%D1%EA"],"halt":0}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	got, err = Windows1251.Request("crm.deal.add", []byte(`{"TITLE":"Ск"}`))
	if err != nil || string(got) != "{\"TITLE\":\"\xd1\xea\"}" {
		t.Errorf("%q, %v", got, err)
	}
}
