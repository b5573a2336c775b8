package report

import "strings"

// Line is a line that only one of two texts has.
type Line struct {
	Op   string `json:"op"`   // - for one of the first text, + for one of the second
	Line int    `json:"line"` // its number there
	Text string `json:"text"`
}

// mostCompared bounds the lines that DiffLines compares one by one, between the first and the last
// difference. Longer parts are replaced as a whole.
const mostCompared = 1500

// DiffLines returns the lines in which two texts differ, as few as possible, in their order.
func DiffLines(before, after string) []Line {
	a, b := textLines(before), textLines(after)
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	a, b = a[first:len(a)-last], b[first:len(b)-last]
	common := commonLines(a, b)
	var out []Line
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case common != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common == nil || common[i+1][j] >= common[i][j+1]):
			out = append(out, Line{"-", first + i + 1, a[i]})
			i++
		default:
			out = append(out, Line{"+", first + j + 1, b[j]})
			j++
		}
	}
	return out
}

// commonLines returns for each pair of places how many lines both texts have in common from there
// on. It returns nil if the texts are too long.
func commonLines(a, b []string) [][]int16 {
	if len(a) > mostCompared || len(b) > mostCompared {
		return nil
	}
	out := make([][]int16, len(a)+1)
	for i := range out {
		out[i] = make([]int16, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}

func textLines(text string) []string {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
