package fleet

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/rules"
)

// BenchmarkReload reads a changed rule file again, as serve does: the files of all portals, all rule
// files, and what runs in each portal. The aim for 500 portals is 200 ms.
func BenchmarkReload(b *testing.B) {
	for _, portals := range []int{1, 500} {
		b.Run(fmt.Sprint(portals, " portals"), func(b *testing.B) {
			dir := b.TempDir()
			texts := map[string]string{}
			for _, name := range []string{"deal-shipments.yaml", "invoice-total.yaml"} {
				text, err := rules.FS.ReadFile(name)
				if err != nil {
					b.Fatal(err)
				}
				texts[name] = string(text)
				testkit.WriteFile(b, filepath.Join(dir, "rules", name), texts[name])
			}
			testkit.WriteFile(b, filepath.Join(dir, config.DefaultFile), `rules: [rules]
defaults: {application_token: token, use: {deal-shipments: {list: 47}, invoice-total: {helper_type: 1038}}}
portals: portals
`)
			for i := range portals {
				testkit.WriteFile(b, filepath.Join(dir, "portals", fmt.Sprintf("p%d.yaml", i)), fmt.Sprintf("webhook: https://p%d.bitrix24.com/rest/1/code/\n", i))
			}
			l := &Rules{Actions: actions.All, Source: FilesOf([]string{filepath.Join(dir, "rules")})}
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				testkit.WriteFile(b, filepath.Join(dir, "rules", "invoice-total.yaml"), strings.Replace(texts["invoice-total.yaml"], "title: ", fmt.Sprintf("title: %d ", n), 1))
				l.Source = FilesOf([]string{filepath.Join(dir, "rules")}) // it does not wait until the file is written
				b.StartTimer()
				c, list, err := config.Read(filepath.Join(dir, config.DefaultFile))
				if err != nil || list.HasErrors() || len(c.Portals) != portals {
					b.Fatal(err, list)
				}
				l.Portals = c.Portals
				if _, now, err := l.Load(); err != nil || len(now.Findings()) > 0 || len(now.Instances("p0")) != 2 {
					b.Fatal(err, now.Findings())
				}
			}
		})
	}
}
