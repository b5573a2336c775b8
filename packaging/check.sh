#!/usr/bin/env bash
# Builds the deb package for this machine and the program for a foreign system, unpacks
# the package and tries what is in it, without an installation.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGETS="linux/$(go env GOHOSTARCH)" packaging/release.sh 0.0.1
# It is never run, so the compiler need not optimise it.
GOOS=windows GOARCH=arm64 CGO_ENABLED=0 go build -gcflags='all=-N -l' -o /dev/null ./cmd/b24rules

(cd dist && sha256sum --quiet -c SHA256SUMS)
for kind in tar.gz deb rpm; do
	ls dist/*."$kind" # fails without one
done
# The same sources give the same archive: one owner, one time, and three kinds of modes.
kinds=$(tar --full-time -tvzf dist/*.tar.gz | awk '{print $1, $2, $4, $5}' | sort -u)
if [ "$(wc -l <<< "$kinds")" != 3 ]; then
	echo "the archive depends on the machine that made it:" >&2
	echo "$kinds" >&2
	exit 1
fi
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
# The program in a folder with what the Dockerfile's image has, as its user: it needs no
# shell, no home directory and no file of the system.
if [ "$(id -u)" = 0 ]; then
	image=$root/image
	mkdir -p "$image/etc/b24rules" "$image/var/lib/b24rules" "$image/tmp"
	chmod 1777 "$image/tmp"
	cp "$program" "$image/"
	cp -r "$root/etc/b24rules/rules" "$image/etc/b24rules/"
	chown 65532:65532 "$image/var/lib/b24rules"
	chmod 755 "$root"
	cat > "$image/etc/b24rules/b24rules.yaml" <<-'END'
		listen: 127.0.0.1:0
		database: sqlite:/var/lib/b24rules/b24rules.db
		rules: [rules]
		portals:
		  main:
		    webhook: http://127.0.0.1:1/rest/1/k3y/
		    application_token: t0k3n
		    time_zone: Europe/Moscow
		    inputs: {deal-shipments: {list: 47}}
	END
	# Doctor runs before serve has made a database. This portal does not exist.
	(chroot --userspec=65532:65532 "$image" /b24rules doctor --config /etc/b24rules/b24rules.yaml || true) | grep -F '127.0.0.1:1: connect: connection refused'
	chroot --userspec=65532:65532 "$image" /b24rules serve --config /etc/b24rules/b24rules.yaml 2> "$root/serve.log" &
	serve=$!
	for ((i = 0; i < 300; i++)); do
		! grep -qF 'portal main: events at http://127.0.0.1:' "$root/serve.log" || break
		sleep 0.2
	done
	kill -INT "$serve" || cat "$root/serve.log"
	wait "$serve"
	grep -F 'b24rules: stopped' "$root/serve.log"
	ls "$image/var/lib/b24rules/b24rules.db"
else
	echo "not checked: the program in an empty folder, because only root may use chroot" >&2
fi
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
