# SPDX-License-Identifier: GPL-2.0-or-later
# By force.
echo b >/proc/sysrq-trigger
