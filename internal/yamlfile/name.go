package yamlfile

import (
	"path/filepath"
	"strings"
)

// Ext returns the ending of the name of a YAML file, and "" for another name. It knows
// .yaml and .yml in small and capital letters, with blanks at the end, and with the .txt
// that some editors add. Parse refuses the last two.
func Ext(name string) string {
	base := filepath.Base(name)
	known := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(base)), ".txt")
	for _, ext := range []string{".yaml", ".yml"} {
		if strings.HasSuffix(known, ext) && len(known) > len(ext) {
			return base[strings.LastIndex(strings.ToLower(base), ext):]
		}
	}
	return ""
}

// Stem returns the name of a file without its folders and its ending.
func Stem(name string) string {
	base := filepath.Base(name)
	if ext := Ext(name); ext != "" {
		return strings.TrimSuffix(base, ext)
	}
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// plainName returns the name of a YAML file without the end that Parse refuses.
func plainName(name string) string {
	base := filepath.Base(name)
	ext := strings.TrimSpace(Ext(name))
	if strings.HasSuffix(strings.ToLower(ext), ".txt") {
		ext = ext[:len(ext)-len(".txt")]
	}
	return strings.TrimSuffix(base, Ext(name)) + ext
}
