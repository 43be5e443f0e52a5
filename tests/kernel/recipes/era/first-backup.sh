# SPDX-License-Identifier: GPL-2.0-or-later
dmsetup message era 0 checkpoint
dmsetup status era
