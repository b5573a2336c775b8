#!/usr/bin/env bash
# Builds the deb package for this machine and the program for a foreign system, unpacks
# the package and tries what is in it, without an installation.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGETS="linux/$(go env GOHOSTARCH)" packaging/release.sh 0.0.1
GOOS=windows GOARCH=arm64 CGO_ENABLED=0 go build -trimpath -o /dev/null ./cmd/b24rules

(cd dist && sha256sum --quiet -c SHA256SUMS)
for kind in tar.gz deb rpm; do
	ls dist/*."$kind" # fails without one
done
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
dpkg-deb -x dist/*.deb "$root"
program=$root/usr/bin/b24rules
"$program" version | grep -F 'b24rules 0.0.1 '
examples=$root/usr/share/doc/b24rules/examples
"$program" validate --strict "$root/etc/b24rules/rules" "$examples/invoice-total.yaml"
"$program" test "$root/etc/b24rules/rules" "$examples/invoice-total.yaml"

# The configuration is right once the secrets are there, and says what is missing before.
# Status reads all of it, and then looks for the database, which does not exist here.
check() { "$program" status --config "$root/etc/b24rules/b24rules.yaml" 2>&1 || true; }
sed -i "s|/var/lib/b24rules|$root|" "$root/etc/b24rules/b24rules.yaml"
check | grep -F 'secrets/main.webhook: no such file or directory'
(
	umask 0077
	echo https://example.bitrix24.com/rest/1/k3y/ > "$root/etc/b24rules/secrets/main.webhook"
	echo t0k3n > "$root/etc/b24rules/secrets/main.token"
)
if check | grep -F 'b24rules.yaml:'; then
	echo "the configuration of the package has findings" >&2
	exit 1
fi
check | grep -F "the database $root/b24rules.db does not exist yet"
# dpkg runs the scripts with /bin/sh.
for script in packaging/postinstall.sh packaging/preremove.sh; do
	sh -n "$script"
done
bash -n "$root/usr/share/bash-completion/completions/b24rules"
# A newcomer's way with this archive. The page names the archive for amd64.
if [ "$(go env GOHOSTARCH)" = amd64 ]; then
	B24_ARCHIVE=$(ls "$PWD"/dist/b24rules_*_linux_amd64.tar.gz) go test ./internal/app/cli -run '^TestFromNothing$' -count=1 -v | grep -E '^(---|    |ok)'
fi
# The service must stay well confined: systemd's scale goes from 0 to 100.
if command -v systemd-analyze >/dev/null; then
	systemd-analyze security --offline=true --threshold=20 packaging/b24rules.service | tail -1
else
	echo "not checked: how well the service is confined, because systemd-analyze is not installed" >&2
fi
