#!/usr/bin/env bash
# Whole bridges killed with -9 again and again (F10): the short form of tests/kill-bridges.
exec bash "$(dirname "$0")/../kill-bridges" "${KILLS:-8}"
