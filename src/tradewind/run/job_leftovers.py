"""How what a job has left running is found and ended: POSIX sh, part of `job_scripts`."""

from __future__ import annotations

__all__ = ["LEFTOVERS"]

#: Functions for a script that has set root, name, hidden and job, after those of a look.
LEFTOVERS = r"""
# Sets pid: the supervisor of a job whose folder somebody else has removed, by what it was started
# with; empty where it is gone.
supervising() {
  pid=
  for each in /proc/[0-9]*; do
    stat=
    { read -r stat < "$each/stat"; } 2>/dev/null
    # It leads a session of its own: the session is the sixth field, the fourth behind the name.
    set -- ${stat##*) }
    [ "$4" = "${each#/proc/}" ] || continue
    if tr '\0\n' '\n ' < "$each/cmdline" 2>/dev/null | tail -n 5 | tr '\n' '\t' |
      grep -Fq "$(printf 'tradewind\t%s\t%s\t%s\t' "$root" "$name" "$hidden")"
    then pid=$4; return 0; fi
  done
}
# Ends at once what goes on of a job whose folder, or part of it, somebody else has removed.
finish_removed() {
  [ -n "$hidden" ] || return 0
  supervising
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
  finish "$pid" "" ""
}
# Ends what goes on of a job that has ended by itself: it has a second to end as the job did, which
# may still be writing, and another one after SIGTERM.
finish_rest() {
  { read -r pid rest < "$job/process"; } 2>/dev/null
  living "$pid" "" "$job"
  [ -n "$left" ] || return 0
  sleep 1
  living "$pid" "" "$job"
  [ -n "$left" ] || return 0
  kill -TERM $left 2>/dev/null
  sleep 1
  finish "$pid" "" "$job"
}
"""
