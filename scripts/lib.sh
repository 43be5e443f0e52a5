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

# Lists of packages whose date is past, as those of a release that is archived
# or of a host whose clock is ahead, still name what is there.
apt_dateless=(-o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false)

update_lists() {
	local said

	apt-get -qq update >/dev/null 2>&1 && return
	if said=$(apt-get -qq "${apt_dateless[@]}" update 2>&1); then
		echo "the archive's lists of packages are taken whatever" \
		     "their date"
	else
		echo "the lists of packages stay as they are: $said"
	fi
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=600 install "$@" </dev/null >/dev/null
}

# Whether the named packages are there, once those that are missing have been
# installed; says what is missing still. Without root or apt it says what to
# install. NO_INSTALL=1 trusts that all is there, for systems that are not
# Debian.
have_packages() {
	local package missing=() left=()

	[ -z "${NO_INSTALL:-}" ] || return 0
	for package; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "missing are these packages, or what they are called here" \
		     "(then set NO_INSTALL=1): ${missing[*]}"
		return 1
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages; as root: apt-get install ${missing[*]}"
		return 1
	fi
	say "Installing ${missing[*]}"
	update_lists
	! apt_install "${missing[@]}" 2>/dev/null || return 0
	# one that is not to be had keeps back all that it is asked for with
	for package in "${missing[@]}"; do
		apt_install "$package" || left+=("$package")
	done
	[ ${#left[@]} = 0 ] || echo "not to be had: ${left[*]}"
	[ ${#left[@]} = 0 ]
}

need_packages() {
	have_packages "$@" || die "cannot go on without these packages"
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
