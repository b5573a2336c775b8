#!/bin/sh
# Runs after the installation and after each upgrade of the package.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers b24rules.conf
elif ! getent passwd b24rules >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/b24rules --no-create-home --shell /usr/sbin/nologin b24rules
fi
chown root:b24rules /etc/b24rules /etc/b24rules/secrets
# A container has no running systemd.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart b24rules.service
fi
