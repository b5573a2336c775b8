#!/bin/sh
# Runs before the package is removed or upgraded. An upgrade leaves the service running:
# postinstall.sh restarts it. dpkg says "remove", rpm says 0.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now b24rules.service
	fi
	;;
esac
