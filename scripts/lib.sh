# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What scripts/demo and scripts/test share; sourced, with set -eu in force.
# shellcheck disable=SC2034 # used where it is sourced
set -eu

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc 2>/dev/null || echo 1)
export LC_ALL=C

# Debian's names of what a build needs, and nothing more.
build_packages=(
	autoconf automake libtool make gcc libc6-dev pkg-config
	libxml2-dev zlib1g-dev libjansson-dev libblkid-dev libdevmapper-dev
)

say() {
	printf '\n=== %s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the named packages that are missing; without root or apt
# it says which those are and stops. NO_INSTALL=1 trusts that all is there,
# for systems that are not Debian.
need_packages() {
	local package missing=()

	[ -z "${NO_INSTALL:-}" ] || return 0
	for package; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "needs these packages, or what they are called here" \
		    "(then set NO_INSTALL=1): ${missing[*]}"
	[ "$(id -u)" = 0 ] ||
		die "missing packages; as root: apt-get install ${missing[*]}"
	say "Installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
		install "${missing[@]}" \
		</dev/null >/dev/null
}

# build DIRECTORY [configure's arguments]: builds there, out of the source.
build() {
	local directory=$top/$1

	shift
	# a release has it, a checkout does not
	if [ ! -x "$top/configure" ]; then
		autoreconf -fi "$top" >/dev/null 2>"$top/autoreconf.log" || {
			cat "$top/autoreconf.log" >&2
			return 1
		}
	fi
	mkdir -p "$directory"
	(
		cd "$directory"
		[ -f config.status ] || ../../configure -q "$@"
		make -s -j "$jobs"
	)
}
