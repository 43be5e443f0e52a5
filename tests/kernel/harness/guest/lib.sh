# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a scenario's script can say. The host sets BLOCK_SIZE (sectors), BOOT
# (how many boots came before) and STAMP (serial number of the last write).
#
# Each write to the era device leaves its stamp in every 16 bytes it covers:
# boot, serial number, and the era that was current when it began. So the
# origin itself tells which writes reached it, whatever became of the log.

METADATA=/dev/vda
ORIGIN=/dev/vdb
SPARE=/dev/vdc
ERA=0
# The era device's.
NAME=era

event() {
	echo "$*" >&3
}

# sectors DEVICE: its size
sectors() {
	blockdev --getsz "$1"
}

# see_era: logs the current era, which the device's status tells; fails where
# the device has failed and tells none
see_era() {
	set -- $(dmsetup status "$NAME")
	[ $# -ge 6 ] || return 1
	ERA=$6
	event era "$ERA"
}

# era_table [SECTORS]: the table of the era device
era_table() {
	echo "0 ${1:-$(sectors $ORIGIN)} era $METADATA $ORIGIN $BLOCK_SIZE"
}

# activate [SECTORS]: SIZE is the device's, in bytes
activate() {
	SIZE=$((${1:-$(sectors $ORIGIN)} * 512))
	dmsetup create era --table "$(era_table "$@")"
	see_era
}

deactivate() {
	dmsetup remove era
}

# message WORDS: the messages checkpoint, take_metadata_snap and
# drop_metadata_snap; the first two begin a new era
message() {
	dmsetup message "$NAME" 0 "$@"
	see_era
}

checkpoint() {
	message checkpoint
}

take_snapshot() {
	message take_metadata_snap
	event snapshot
}

drop_snapshot() {
	message drop_metadata_snap
}

# stamped: the stamp over and over, without end; a page at a time, since an
# emulated processor is slow
stamped() {
	local page doubled
	page="$(printf '%2d %6d %5d' "$BOOT" "$STAMP" "$ERA")
"
	for doubled in 32 64 128 256 512 1024 2048 4096; do
		page=$page$page
	done
	yes "${page%?}"
}

# put DEVICE BEGIN LENGTH: writes the stamp there, in bytes, and returns when
# the device says that it is written
put() {
	if stamped | dd of="/dev/mapper/$1" bs=1M status=none \
		iflag=fullblock,count_bytes oflag=direct,seek_bytes \
		conv=notrunc seek="$2" count="$3"; then
		event "done" "$STAMP"
	else
		event failed "$STAMP"
		return 1
	fi
}

# write BLOCK [COUNT]: writes data blocks; the last block of the device may be
# a short one
write() {
	local bytes=$((BLOCK_SIZE * 512)) begin length
	begin=$(($1 * bytes))
	length=$((${2:-1} * bytes))
	[ $((begin + length)) -le $SIZE ] || length=$((SIZE - begin))
	STAMP=$((STAMP + 1))
	event write "$STAMP" "$1" "${2:-1}"
	put "$NAME" $begin $length
}

# comb STRIDE: a device over era that has each of its data blocks whose number
# is a multiple of STRIDE, and no other
comb() {
	COMB_STRIDE=$1
	COMB_COUNT=$(((SIZE / BLOCK_SIZE / 512 - 1) / $1 + 1))
	awk -v n=$COMB_COUNT -v size="$BLOCK_SIZE" -v stride="$1" 'BEGIN {
		for (i = 0; i < n; i++)
			print i * size, size, "linear /dev/mapper/era",
			      i * size * stride
	}' | dmsetup create comb
}

# write_comb: writes all of it
write_comb() {
	STAMP=$((STAMP + 1))
	event write "$STAMP" 0 "$COMB_COUNT" "$COMB_STRIDE"
	put comb 0 $((COMB_COUNT * BLOCK_SIZE * 512))
}

# at_rest: waits until the machine has nothing to do for a second, as it has
# while there is an era left to digest
at_rest() {
	local idle all
	while :; do
		cpu_times
		idle=$IDLE all=$ALL
		sleep 1
		cpu_times
		[ $(((IDLE - idle) * 10)) -lt $(((ALL - all) * 9)) ] || return 0
	done
}

# cpu_times: sets IDLE and ALL, in ticks
cpu_times() {
	set -- $(head -n 1 /proc/stat)
	IDLE=$5 ALL=$(($2 + $3 + $4 + $5 + $6 + $7 + $8 + $9))
}

# log_is_out: waits until all events are sent, as setting a line's modes does
log_is_out() {
	stty -F /dev/ttyS1 raw
}

# forced_reboot: what an operator does who knows no other way out
forced_reboot() {
	event reboot
	log_is_out
	echo b >/proc/sysrq-trigger
	sleep 60
}

# load_table [SECTORS]: loads a table beside the live one
load_table() {
	dmsetup load era --table "$(era_table "$@")"
}

# stuck PID FUNCTION: waits until a process sleeps in D state in a function
# of the kernel, and logs it; fails when it has not come to that in time
stuck() {
	local tenth
	for tenth in $(seq 100); do
		if grep -q '^State:.D' "/proc/$1/status" 2>/dev/null &&
		   grep -q "$2" "/proc/$1/stack"; then
			event stuck "$1" "$2"
			return 0
		fi
		sleep 0.1
	done
	echo "process $1 does not sleep in $2:"
	grep '^State' "/proc/$1/status" || true
	cat "/proc/$1/stack" || true
	return 1
}

# over PID: waits until a process is gone; fails when it is still there
over() {
	local tenth
	for tenth in $(seq 100); do
		[ -d "/proc/$1" ] || return 0
		sleep 0.1
	done
	return 1
}
