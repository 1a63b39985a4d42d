# What `up`, `down` and `ctl` share: where things are, and how a service is started and waited for. Each service's file
# (redis.sh, kafka.sh, cassandra.sh) has NAME_start, which execs the daemon, and NAME_ready.
#
# INFRA_RUN    data, logs, pids and `env`; dropped by `down` (/tmp/throng-infra)
# INFRA_CACHE  jars, class archives, a formatted Kafka folder; kept (~/.cache/throng/infra)
# INFRA_HOST   the address that everything listens on (127.0.0.1)
# INFRA_BASE   the first of ten ports (21000)
# INFRA_AOF    `yes`: Redis keeps its data over a restart (no)
# INFRA_JAVA   a JDK 17

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RUN=${INFRA_RUN:-${TMPDIR:-/tmp}/throng-infra}
CACHE=${INFRA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/throng/infra}
MARK=$RUN/.throng-infra
mkdir -p "$CACHE"
# Whoever comes later finds the services where `up` has put them.
[ ! -e "$MARK" ] || . "$MARK"
HOST=${INFRA_HOST:-127.0.0.1} BASE=${INFRA_BASE:-21000} AOF=${INFRA_AOF:-no}
JAVA=${INFRA_JAVA:-/usr/lib/jvm/java-17-openjdk-amd64}/bin/java
JVM="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
LIB=$CACHE/jars-$(cat "$here"/jars/pom.xml "$here"/jars/*/pom.xml | sha256sum | cut -c1-12)

. "$here/redis.sh"
. "$here/kafka.sh"
. "$here/cassandra.sh"

began=$(date +%s%N)
say() { printf '%6.1f s  %s\n' "$((($(date +%s%N) - began) / 1000000))e-3" "$*"; }
die() { echo "$*" >&2; exit 1; }

# redis-replica and sentinel-2 are kinds of the service `redis`.
service() { case $1 in redis | redis-replica | sentinel-[123]) echo redis ;; kafka | cassandra) echo "$1" ;; *) die "no service is called $1" ;; esac; }
pid() { cat "$RUN/$1.pid" 2>/dev/null || true; }
runs() { local pid; pid=$(pid "$1"); [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }
listens() { (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; }
set_env() { sed -i "/^$1=/d" "$RUN/env"; echo "$1=$2" >> "$RUN/env"; }

# Starts a service on whatever data it has; does not wait. No lock or terminal of ours is left to it.
launch() {
  runs "$1" && die "$1 runs already (pid $(pid "$1") in $RUN)"
  mkdir -p "$RUN/$1"
  (cd "$RUN/$1" && exec setsid "$BASH" -c ". '$here/lib.sh' && $(service "$1")_start '$1'" \
    < /dev/null >> "$RUN/$1/log" 2>&1 9>&-) &
  echo $! > "$RUN/$1.pid"
}

await() {
  for _ in $(seq 1800); do
    if "$(service "$1")_ready" "$1" 2>/dev/null; then
      say "$1 is up ($(awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$(pid "$1")/status") MiB)"
      return
    fi
    runs "$1" || { tail -n 20 "$RUN/$1/log" >&2; die "$1 has died"; }
    sleep 0.1
  done
  tail -n 20 "$RUN/$1/log" >&2
  die "$1 does not come up"
}

# The jars, once for each contents of the pom files.
fetch_jars() {
  [ ! -e "$LIB/ok" ] || return 0
  for try in 1 2 3; do
    rm -rf "$LIB.new"
    if (cd "$here/jars" && mvn -B -ntp -q dependency:copy-dependencies -Dto="$LIB.new"); then
      touch "$LIB.new/ok" && mv "$LIB.new" "$LIB"
      say "jars fetched ($(du -sh "$LIB" | cut -f1))"
      return
    fi
    sleep $((3 * try))
  done
  die "the jars could not be fetched"
}

# A class archive makes a JVM start in half the time: used if it is there, else written when the JVM ends.
class_archive() {
  local archive=$LIB/$1.jsa
  if [ -e "$archive" ]; then echo "-XX:SharedArchiveFile=$archive"; else echo "-XX:ArchiveClassesAtExit=$archive"; fi
}
