# SPDX-License-Identifier: GPL-2.0-or-later
# A process hangs in the device's status, and resume has not been called yet.
# clear hangs, too, until resume has put the old table back to work.
dmsetup clear era &
sleep 1
dmsetup resume era
