#!/usr/bin/env bash
# Builds everything that a release has into dist/: an archive for each system, the
# packages for Linux and their checksums.
#
#   packaging/release.sh [VERSION]       all systems
#   TARGETS=linux/amd64 packaging/release.sh
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-$(git describe --tags --always --dirty 2>/dev/null || echo 0.0.0)}
version=${version#v}
# A package version starts with a digit.
[[ $version == [0-9]*.* ]] || version=0.0.0~$version
targets=${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64}
rm -rf dist
mkdir dist
# The same sources give the same packages.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "completion scripts"
go build -trimpath -o "$work/host" ./cmd/b24rules
mkdir "$work/completion"
"$work/host" completion bash > "$work/completion/b24rules.bash"
"$work/host" completion zsh > "$work/completion/_b24rules"
"$work/host" completion fish > "$work/completion/b24rules.fish"

for target in $targets; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	echo "$target"
	name=b24rules_${version}_${GOOS}_${GOARCH}
	folder=$work/$name
	program=b24rules
	[ "$GOOS" != windows ] || program=b24rules.exe
	mkdir "$folder"
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/b24rules/b24rules/internal/app/cli.release=$version" -o "$folder/$program" ./cmd/b24rules
	cp -r CHANGELOG.md LICENSE README.md README.ru.md llms.txt THIRD_PARTY_NOTICES.md docs rules "$folder"
	find "$folder" -name '*.go' -delete
	cp -r "$work/completion" "$folder/completion"
	# The modes and times of a checkout depend on its machine.
	chmod -R u=rwX,go=rX "$folder"
	find "$folder" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
	if [ "$GOOS" = windows ]; then
		(cd "$work" && find "$name" | LC_ALL=C sort | TZ=UTC zip -Xq@ "$OLDPWD/dist/$name.zip")
	else
		tar -C "$work" --owner=0 --group=0 --numeric-owner --sort=name -cf - "$name" | gzip -9n > "dist/$name.tar.gz"
	fi
	if [ "$GOOS" = linux ]; then
		for packager in deb rpm; do
			# nfpm runs here, whatever the target is.
			(unset GOOS; goarch=$GOARCH; unset GOARCH
				go build -modfile=tools/go.mod -o "$work/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
				GOARCH=$goarch VERSION=$version BINARY=$folder/$program COMPLETION=$work/completion \
					"$work/nfpm" package --config packaging/nfpm.yaml --packager "$packager" --target dist/)
		done
	fi
done
unset GOOS GOARCH
(cd dist && sha256sum -- * > "$work/SHA256SUMS")
mv "$work/SHA256SUMS" dist/
ls -l dist
