package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// maxSecret is the most bytes of a file with a secret.
const maxSecret = 64 << 10

// readSecret reads a file with one secret. It drops a byte order mark and the line breaks
// at the end, and refuses a file that cannot be one line of text: a wrong secret would
// show only when the portal refuses it.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("the file is larger than %d KiB", maxSecret>>10)
	}
	return secretText(data)
}

func secretText(data []byte) (string, error) {
	text := strings.TrimRight(strings.TrimPrefix(string(data), "\ufeff"), "\r\n")
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) || strings.ContainsRune(text, 0):
		return "", errors.New("the file is UTF-16 or has a zero byte: save it as UTF-8")
	case !utf8.ValidString(text):
		return "", errors.New("the file is not UTF-8: save it as UTF-8")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("the file has more than one line")
	case strings.HasPrefix(text, "${"):
		return "", errors.New("the file has ${, but variables are replaced only in the configuration")
	}
	return text, nil
}

// AboutSecret reports whether a finding says only that a secret is not there. It matters where
// the program runs, and not where files are checked.
func AboutSecret(f diag.Finding) bool {
	return f.Code == "missing-variable" || f.Code == "unreadable-file" && f.Message == secretFileMessage
}

// secretFileMessage is the message for a file with a secret that cannot be read.
const secretFileMessage = "%s_file %s: %v"

// takesVariables are the keys whose values may have variables of the environment. Rule
// sets check their inputs themselves.
var takesVariables = []string{"database", "webhook", "application_token", "client_id", "client_secret", "token", "secret", "password", "inputs", "use"}

// mayHaveVariables reports whether the value of a key may have variables: those above,
// and the paths of files with their values.
func mayHaveVariables(key string) bool {
	return slices.Contains(takesVariables, key) || strings.HasSuffix(key, "_file")
}

// misplacedVariables reports each ${ in a value that takes no variables. Taken as text it
// would be a folder or an address with the name ${NAME}.
func (r *reader) misplacedVariables(f *yamlfile.File, n *yaml.Node) {
	n = yamlfile.Resolve(n)
	switch {
	case n == nil:
	case n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${"):
		r.errorf(f.Pos(n), "invalid-value", "${NAME} is not replaced in this value").
			Hint = "variables of the environment are replaced in " + diag.Alternatives(takesVariables) + ", and in paths of files with secrets"
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !mayHaveVariables(n.Content[i].Value) {
				r.misplacedVariables(f, n.Content[i+1])
			}
		}
	default:
		for _, child := range n.Content {
			r.misplacedVariables(f, child)
		}
	}
}
