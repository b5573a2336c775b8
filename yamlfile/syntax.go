package yamlfile

import (
	"strings"

	"gopkg.in/yaml.v3"

	"b24rules/diag"
)

func (f *File) syntaxError(src string, list *diag.List) {
	var n yaml.Node
	err := decode(yaml.NewDecoder(strings.NewReader(src)), &n)
	msg := "invalid YAML"
	if err != nil {
		msg = err.Error()
	}
	list.Errorf(f.pos(0), "yaml-syntax", "%s", msg)
}
