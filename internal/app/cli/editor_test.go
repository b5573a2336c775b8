package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// languageServer is the YAML language server that editors start.
const languageServer = "../../../tools/yamlls/node_modules/yaml-language-server/bin/yaml-language-server"

// editor is a client of the language server, as VS Code is one.
type editor struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
	ctx context.Context
	dir string
	id  int

	settings map[string]any
}

// startEditor writes the schemas into a folder, as `b24rules schema --out` does,
// and starts the server there.
//
// settings are the editor's of the YAML extension, nil for none.
func startEditor(t *testing.T, settings map[string]any) *editor {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(languageServer)
	}
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("the YAML language server is missing (npm ci --prefix tools/yamlls): %v", err)
	case err != nil:
		t.Skipf("the YAML language server is missing (npm ci --prefix tools/yamlls): %v", err)
	}
	dir := t.TempDir()
	if err := writeSchemas(environment{Std: Std{Err: io.Discard}, actions: actions.All}, filepath.Join(dir, "schemas"), fileSchemas); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, node, languageServer, "--stdio")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	e := &editor{t: t, in: in, out: bufio.NewReader(out), ctx: ctx, dir: dir, settings: settings}
	e.call("initialize", map[string]any{
		"processId": nil, "rootUri": "file://" + dir,
		"workspaceFolders": []any{map[string]any{"uri": "file://" + dir, "name": "rules"}},
		"capabilities": map[string]any{
			"workspace": map[string]any{"configuration": true},
			"textDocument": map[string]any{
				"completion": map[string]any{"completionItem": map[string]any{"documentationFormat": []string{"markdown"}}},
				"hover":      map[string]any{"contentFormat": []string{"markdown"}},
			},
		},
	}, nil)
	e.send(map[string]any{"method": "initialized", "params": map[string]any{}})
	return e
}

// send writes a message of the protocol.
func (e *editor) send(message map[string]any) {
	e.t.Helper()
	message["jsonrpc"] = "2.0"
	data, err := json.Marshal(message)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(e.in, "Content-Length: %d\r\n\r\n%s", len(data), data); err != nil {
		e.t.Fatal(err)
	}
}

// message is what the server sends: an answer, a request or a notification.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// receive reads the next message that is not a request; requests are answered.
func (e *editor) receive() message {
	e.t.Helper()
	for {
		head, err := textproto.NewReader(e.out).ReadMIMEHeader()
		if err != nil {
			e.t.Fatalf("read from the language server: %v (%v)", err, e.ctx.Err())
		}
		n, err := strconv.Atoi(head.Get("Content-Length"))
		if err != nil {
			e.t.Fatal(err)
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(e.out, data); err != nil {
			e.t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(data, &m); err != nil {
			e.t.Fatal(err)
		}
		if m.Method == "" || len(m.ID) == 0 {
			return m
		}
		e.answer(m)
	}
}

// answer answers what the server asks: for its settings, which keep it off the
// network, and for capabilities that do not matter here.
func (e *editor) answer(m message) {
	e.t.Helper()
	var result any
	if m.Method == "workspace/configuration" {
		var asked struct{ Items []struct{ Section string } }
		if err := json.Unmarshal(m.Params, &asked); err != nil {
			e.t.Fatal(err)
		}
		settings := make([]any, len(asked.Items))
		for i, item := range asked.Items {
			if item.Section == "yaml" {
				yaml := map[string]any{"validate": true, "hover": true, "completion": true, "schemaStore": map[string]any{"enable": false}}
				maps.Copy(yaml, e.settings)
				settings[i] = yaml
			}
		}
		result = settings
	}
	e.send(map[string]any{"id": m.ID, "result": result})
}

// call sends a request and decodes its result.
func (e *editor) call(method string, params, result any) {
	e.t.Helper()
	e.id++
	e.send(map[string]any{"id": e.id, "method": method, "params": params})
	for {
		m := e.receive()
		if string(m.ID) != strconv.Itoa(e.id) {
			continue
		}
		if len(m.Error) > 0 {
			e.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				e.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// open opens a file that names its schema, and returns what the server finds
// wrong with it: "line:column message". A ¦ in the text is taken out; it marks
// the place for hover and complete.
func (e *editor) open(name, schema, text string) (doc document, findings []string) {
	e.t.Helper()
	text = "# yaml-language-server: $schema=schemas/" + schema + ".schema.json\n" + text
	return e.openText(name, text)
}

// openText is open for a file that names no schema. Lines are counted from the
// second one.
func (e *editor) openText(name, text string) (doc document, findings []string) {
	e.t.Helper()
	before, after, _ := strings.Cut(text, "¦")
	doc = document{uri: "file://" + filepath.Join(e.dir, name)}
	doc.line = strings.Count(before, "\n")
	doc.column = len([]rune(before[strings.LastIndex(before, "\n")+1:]))
	testkit.WriteFile(e.t, filepath.Join(e.dir, name), before+after)
	e.send(map[string]any{"method": "textDocument/didOpen", "params": map[string]any{
		"textDocument": map[string]any{"uri": doc.uri, "languageId": "yaml", "version": 1, "text": before + after},
	}})
	for {
		m := e.receive()
		if m.Method != "textDocument/publishDiagnostics" {
			continue
		}
		var p struct {
			URI         string
			Diagnostics []struct {
				Message string
				Range   struct{ Start struct{ Line, Character int } }
			}
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			e.t.Fatal(err)
		}
		if p.URI != doc.uri {
			continue
		}
		for _, d := range p.Diagnostics {
			// The comment above the text is not counted.
			findings = append(findings, fmt.Sprintf("%d:%d %s", d.Range.Start.Line, d.Range.Start.Character+1, strings.ReplaceAll(d.Message, "\n", " ")))
		}
		return doc, findings
	}
}

// document is an open file with the place of its mark.
type document struct {
	uri          string
	line, column int
}

func (d document) params() map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": d.uri}, "position": map[string]any{"line": d.line, "character": d.column}}
}

// complete returns what the editor offers at the mark.
func (e *editor) complete(name, schema, text string) []string {
	e.t.Helper()
	doc, _ := e.open(name, schema, text)
	var list struct {
		Items []struct{ Label string }
	}
	e.call("textDocument/completion", doc.params(), &list)
	var labels []string
	for _, item := range list.Items {
		labels = append(labels, item.Label)
	}
	slices.Sort(labels)
	return labels
}

// hover returns the text that the editor shows for the word at the mark.
func (e *editor) hover(name, schema, text string) string {
	e.t.Helper()
	doc, _ := e.open(name, schema, text)
	var shown *struct{ Contents struct{ Value string } }
	e.call("textDocument/hover", doc.params(), &shown)
	if shown == nil {
		return ""
	}
	return shown.Contents.Value
}
