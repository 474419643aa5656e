"""What runs on the machine of a job folder: POSIX sh, for `tradewind.run.job_folder`.

Each script is run with the arguments that `JobFolderBackend._call` sets, and prints one word or
line.
"""

from __future__ import annotations

from tradewind.run.job_leftovers import LEFTOVERS

__all__ = [
    "LIST",
    "LOOK_AT_ONE",
    "REMOVE",
    "REMOVE_UNCLAIMED",
    "RESULT",
    "START",
    "STOP",
    "SUPERVISE",
    "UNCLAIMED",
]

#: What tells a process from a later one of the same pid, and this start of the machine from others.
#: Where there is /proc no program is started: a listing asks this of a thousand jobs at once.
_IDENTITY = r"""
boot=
{ read -r boot < /proc/sys/kernel/random/boot_id; } 2>/dev/null
identify() {
  identity= stat=
  { read -r stat < "/proc/$1/stat"; } 2>/dev/null
  if [ -n "$stat" ]; then
    # After the name, which may have blanks in it: state is the third field, start the 22nd.
    set -- "$1" ${stat##*) }
    # A zombie is a process that nobody has asked for its end yet.
    case $2 in Z|X) ;; *) identity="$1 ${21} $boot" ;; esac
  elif [ ! -d /proc/self ]; then
    began=$(ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' '_')
    [ -n "$began" ] && identity="$1 $began"
  fi
}
"""

SUPERVISE = (
    _IDENTITY
    + r"""
root=$1 name=$2 hidden=$3 folder=$4
identify $$
echo "$identity" > "$root/$hidden/process"
if ! cd "${folder:-${HOME:-/}}" 2>/dev/null; then
  rm -rf "${root:?}/$hidden"
  echo "no folder"
  exit
fi
# -n: a link that is there already is not followed into its folder.
if ! ln -sn "$hidden" "$root/$name" 2>/dev/null; then
  rm -rf "${root:?}/$hidden"
  echo taken
  exit
fi
echo started
exec >/dev/null
trap : TERM HUP INT
job=$root/$hidden
# A group of its own where this account may make one (cgroup v2, alone or beside v1): it holds what
# has left the session and has thrown its environment away, too.
group=
for base in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  [ -e "$base/cgroup.controllers" ] || continue
  here=$base$(sed -n 's/^0:://p' /proc/self/cgroup)
  here=${here%/}
  if mkdir "$here/tradewind-${hidden#.}" && {
    echo $$ > "$here/tradewind-${hidden#.}/cgroup.procs" || ! rmdir "$here/tradewind-${hidden#.}"
  }; then
    group=$here/tradewind-${hidden#.}
    echo "$group" > "$job/cgroup"
  fi
  break
done 2>/dev/null
(
  trap - TERM HUP INT
  # Stopped before this was there to be told.
  [ ! -e "$job/stopped" ] || exit 143
  . "$job/environment"
  rm -f "$job/environment"
  TRADEWIND_RESULT=$job/result TRADEWIND_JOB=$hidden
  export TRADEWIND_RESULT TRADEWIND_JOB
  exec sh "$job/command"
) > "$job/log" 2>&1 < /dev/null &
work=$!
# A signal to this shell ends `wait` early; when the work ends is for the work to decide.
wait "$work"
code=$?
while kill -0 "$work" 2>/dev/null; do
  wait "$work"
  code=$?
done
wait "$work" 2>/dev/null
again=$?
[ "$again" = 127 ] || code=$again
if [ -n "$group" ]; then
  { echo $$ > "$here/cgroup.procs" && rmdir "$group"; } 2>/dev/null
fi
# On a full disk the first one stays, empty: a look tells that.
echo "$code" > "$job/exit.new" && mv "$job/exit.new" "$job/exit"
"""
)

START = r"""
umask 077
root=$1 name=$2 hidden=$3 folder=$4 command=$5 environment=$6 owner=$7 supervise=$8
undo=$9
job=$root/$hidden
if ! command -v setsid >/dev/null; then echo "the program setsid is missing"; exit; fi
if ! { mkdir -p "$root" && mkdir "$job"; } 2>/dev/null; then echo "it cannot be made"; exit; fi
# First whose it is: whoever dies here leaves a folder that says so.
if ! {
  date +%s > "$job/began" &&
  printf '%s\n' "$owner" > "$job/owner" &&
  printf '%s\n' "$command" > "$job/command" &&
  printf '%s\n' "$environment" > "$job/environment" &&
  { [ -z "$undo" ] || printf '%s\n' "$undo" > "$job/undo"; } &&
  : > "$job/log"
} 2>/dev/null; then
  rm -rf "$job"
  echo "it cannot be written to (is the disk full?)"
  exit
fi
# This ends when the supervisor has answered and closed the pipe.
answer=$(
  setsid sh -c "$supervise" tradewind "$root" "$name" "$hidden" "$folder" </dev/null 2>/dev/null &
)
echo "$answer"
"""

_LOOK = (
    _IDENTITY
    + r"""
look() {
  seen=absent
  [ -e "$1/owner" ] || return 0
  code= pid= rest=
  { read -r code < "$1/exit"; } 2>/dev/null
  if [ -n "$code" ]; then ended "$1" "$code"; return; fi
  { read -r pid rest < "$1/process"; } 2>/dev/null
  identity=
  [ -n "$pid" ] && identify "$pid"
  if [ -n "$pid" ] && [ "$identity" = "$pid $rest" ]; then seen=running; return; fi
  # It may have ended meanwhile, in order.
  { read -r code < "$1/exit"; } 2>/dev/null
  seen=vanished
  if [ -n "$code" ]; then ended "$1" "$code"
  # It was stopped before it could say so itself.
  elif [ -e "$1/stopped" ] && [ ! -e "$1/undo" ]; then seen="exit 143"
  # An exit status that could not be written: this has the size of one.
  elif [ -e "$1/exit.new" ] && [ ! -s "$1/exit.new" ]; then seen=full; fi
}
ended() {
  seen="exit $2" why=
  [ "$2" = 0 ] || { read -r why < "$1/reason"; } 2>/dev/null
  [ -z "$why" ] || seen="exit $2 $why"
}
members() {
  [ -n "$1" ] || return 0
  if command -v pgrep >/dev/null; then pgrep -s "$1"
  else ps -e -o pid= -o sess= | while read -r one session; do
    [ "$session" = "$1" ] && echo "$one"
  done; fi
}
# Sets cgroup: the job's control group, by its name where somebody else has removed the folder.
grouped() {
  cgroup=
  { read -r cgroup < "$job/cgroup"; } 2>/dev/null
  [ -n "$cgroup" ] || [ -e "$job/process" ] ||
    cgroup=$(find /sys/fs/cgroup -type d -name "tradewind-${hidden#.}" 2>/dev/null | head -n 1)
  case $cgroup in */tradewind-"${hidden#.}") ;; *) cgroup= ;; esac
}
# What has left the session (setsid, a daemon) is known by its environment: a process cannot
# take away what it was started with. $hidden is drawn once: nobody else's work has it.
marked() {
  [ -n "$hidden" ] || return 0
  grouped
  [ -z "$cgroup" ] || cat "$cgroup/cgroup.procs" 2>/dev/null
  if printf 'a\0b\0' | grep -qFxz b 2>/dev/null; then
    grep -lsFxz "TRADEWIND_JOB=$hidden" /proc/[0-9]*/environ | cut -d/ -f3
  else
    for each in /proc/[0-9]*; do
      tr '\0' '\n' < "$each/environ" 2>/dev/null | grep -Fqx "TRADEWIND_JOB=$hidden" &&
        echo "${each#/proc/}"
    done
  fi
}
# Sets left: what still runs of session $1 or has the job's mark, but the process $2; of the session
# only what belongs to the job folder $3, where one is given: when its supervisor is gone, the
# session's number may be another's.
living() {
  left=
  has_mark=" $(marked 2>/dev/null | tr '\n' ' ')"
  for one in $has_mark $(members "$1"); do
    [ "$one" != "$2" ] || continue
    case " $left " in *" $one "*) continue ;; esac
    identify "$one"
    [ -n "$identity" ] || continue
    case $has_mark in
      *" $one "*) ;;
      *) [ -z "$3" ] || tr '\0' '\n' < "/proc/$one/environ" 2>/dev/null |
        grep -Fqx "TRADEWIND_RESULT=$3/result" || continue ;;
    esac
    left="$left $one"
  done
}
# Ends that by SIGKILL. Those that are being forked meanwhile are met in another round.
finish() {
  rounds=0
  while living "$1" "$2" "$3" && [ -n "$left" ]; do
    [ "$rounds" -lt 54 ] || return 1
    kill -KILL $left 2>/dev/null
    rounds=$((rounds + 1))
    [ "$rounds" -lt 50 ] || sleep 1
  done
}
"""
)

_UNDO = r"""
undo() {
  TRADEWIND_RESULT=$1/result sh "$1/undo" </dev/null
}
"""

LOOK_AT_ONE = _LOOK + 'look "$1"\nprintf "%s\\n" "$seen"\n'

STOP = (
    _LOOK
    + _UNDO
    + r"""
job=$1 seconds=$2
hidden=$(readlink "$job")
look "$job"
if [ "$seen" = vanished ] && [ -e "$job/undo" ]; then
  ( undo "$job" ) >/dev/null 2>&1 </dev/null &
fi
[ "$seen" = running ] || exit 0
: > "$job/stopped"
# Each is asked once; those that are being forked meanwhile are met in another round.
asked=" "
for round in 1 2 3; do
  new=
  living "$pid" "$pid" ""
  for one in $left; do
    case $asked in
      *" $one "*) ;;
      *) kill -TERM "$one" 2>/dev/null; asked="$asked$one "; new=yes ;;
    esac
  done
  [ -n "$new" ] || break
done
(
  while [ "$seconds" -gt 0 ] && [ "$seen" = running ]; do
    sleep 1
    seconds=$((seconds - 1))
    look "$job"
  done
  # A daemon may be left of work that has ended as it was asked to.
  if [ "$seen" = running ]; then finish "$pid" "$pid" ""
  else finish "$pid" "$pid" "${job%/*}/$hidden"; fi
) >/dev/null 2>&1 </dev/null &
"""
)

REMOVE = (
    _LOOK
    + LEFTOVERS
    + _UNDO
    + r"""
root=$1 name=$2
hidden=$(readlink "$root/$name")
job=$root/$hidden
look "$root/$name"
whole=yes
if [ "$seen" = running ]; then
  # First the supervisor: it would write the exit status into a folder that is being deleted.
  kill -KILL "$pid" 2>/dev/null
  finish "$pid" "" "" || whole=
elif [ "$seen" = vanished ] || [ -e "$job/stopped" ]; then
  # The supervisor was killed and what it supervised was not, or the work has ended when it was
  # asked to and something it has started has not.
  { read -r pid rest < "$job/process"; } 2>/dev/null
  [ -z "$pid" ] || finish "$pid" "" "$job" || whole=
elif [ "$seen" = absent ]; then
  finish_removed || whole=
else
  # What cannot be ended (another account's) does not undo that the work itself has ended.
  finish_rest || :
fi
if [ -n "$hidden" ] && [ -n "$whole" ] && [ -e "$job/undo" ]; then
  said=$(undo "$job" 2>&1) || { printf 'kept %s\n' "$said"; exit 0; }
fi
if [ -n "$hidden" ]; then
  grouped
  # Empty at once, but for processes that are just ending.
  for round in 1 2 3; do
    [ -d "$cgroup" ] && ! rmdir "$cgroup" 2>/dev/null && [ -n "$whole" ] || break
    sleep 1
  done
  # Who reads a result meanwhile is told so. (No `:`, with which a shell ends where this fails.)
  { true > "$job/removing"; } 2>/dev/null
  rm -rf "${root:?}/$hidden"
  if [ -e "$job" ]; then
    # On a network file system a file stays until the last process that has it open is gone.
    sleep 1
    rm -rf "${root:?}/$hidden"
    # What work has started that has ended by itself may go on.
    case $seen in exit*) ;; *) [ ! -e "$job" ] || whole= ;; esac
  fi
fi
if [ -z "$whole" ]; then echo left; exit 0; fi
rm -f "${root:?}/$name"
exit 0
"""
)

LIST = (
    _LOOK
    + r"""
cd "$1" 2>/dev/null || exit 0
for name in *; do
  [ -h "$name" ] && [ -e "$name/owner" ] || continue
  read -r digest number title < "$name/owner"
  began=
  { read -r began < "$name/began"; } 2>/dev/null
  look "$name"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' \
    "$name" "$began" "$digest" "$number" "$title" "$seen"
done
"""
)

#: Prints one word of what the result is, and of a regular file after that its bytes.
RESULT = r"""
root=$1 name=$2 limit=$3
hidden=$(readlink "$root/$name")
case $hidden in ''|*/*) echo gone; exit 0 ;; esac
# The work may have put a link in the place of its folder, or of its result.
if [ -h "$root/$hidden" ] || ! cd "$root/$hidden" 2>/dev/null; then echo gone; exit 0; fi
if [ -h result ]; then echo "a symbolic link"
elif [ ! -e result ]; then
  if [ -e owner ] && [ ! -e removing ]; then echo none; else echo gone; fi
elif [ -d result ]; then echo "a directory"
elif [ -p result ]; then echo "a FIFO"
elif [ ! -f result ]; then echo "a device or a socket"
else
  echo file
  # What is put in its place now is not followed and not waited for, where dd can say so. A last
  # byte says whether that went well: what was read before a failure is no result.
  {
    if dd if=/dev/null of=/dev/null iflag=nofollow,nonblock 2>/dev/null
    then dd if=result iflag=nofollow,nonblock bs=65536 2>/dev/null
    else cat result
    fi && printf . || printf '!'
  } | head -c "$((limit + 2))"
fi
"""

UNCLAIMED = (
    _LOOK
    + r"""
cd "$1" 2>/dev/null || exit 0
for hidden in .[!.]*; do
  [ -d "$hidden" ] && [ ! -h "$hidden" ] || continue
  name=${hidden#.}
  name=${name%.*}
  # What is claimed says whose it is, until its removal is broken off.
  [ "$(readlink "$name")" != "$hidden" ] || [ ! -e "$hidden/owner" ] || continue
  # A supervisor that is about to claim the name.
  if [ -e "$hidden/process" ]; then
    pid= rest= identity=
    { read -r pid rest < "$hidden/process"; } 2>/dev/null
    [ -z "$pid" ] || identify "$pid"
    [ -z "$identity" ] || [ "$identity" != "$pid $rest" ] || continue
  fi
  digest= number= title= began=
  { read -r digest number title < "$hidden/owner"; } 2>/dev/null
  { read -r began < "$hidden/began"; } 2>/dev/null
  printf '%s\t%s\t%s\t%s\t%s\n' "$hidden" "$began" "$digest" "$number" "$title"
done
for name in *; do
  [ -h "$name" ] && [ ! -e "$name" ] || continue
  hidden=$(readlink "$name")
  case $hidden in ."$name".*) printf '%s\t\t\t\t\n' "$hidden" ;; esac
done
"""
)

REMOVE_UNCLAIMED = r"""
rm -rf "${1:?}/${2:?}"
link=${2#.}
link=${link%.*}
[ "$(readlink "$1/$link")" != "$2" ] || rm -f "${1:?}/${link:?}"
"""
