# SPDX-License-Identifier: GPL-2.0-or-later
dmsetup message data-era 0 checkpoint
dmsetup status data-era
