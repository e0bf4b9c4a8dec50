#!/usr/bin/env bash
# Whole bridges killed with -9 again and again (F10): the short form of tests/kill-bridges.
. "$(dirname "$0")/../support/tap.sh"
TEST="killed again and again" ok bash "$RANQ_TEST_SOURCEDIR/tests/kill-bridges" "${KILLS:-8}"
done_testing
