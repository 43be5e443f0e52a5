# SPDX-License-Identifier: GPL-2.0-or-later
# The device as it was before the repair, bit for bit.
era_repair --undo-apply era_meta.undo /dev/vg/era_meta
