# Redis: `redis` alone; with `redis-replica` and `sentinel-1` to `-3` a primary that is failed over.

redis_port() { case $1 in redis) echo $BASE ;; redis-replica) echo $((BASE + 6)) ;; sentinel-*) echo $((BASE + 6 + ${1#sentinel-})) ;; esac; }

# Debian's package redis-tools has the server as another name of redis-check-rdb, and brings no daemon with it.
redis_program() { command -v redis-server || echo /usr/bin/redis-check-rdb; }

redis_install() {
  [ ! -x "$(redis_program)" ] || return 0
  apt-get -o DPkg::Lock::Timeout=300 -qq update
  apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends redis-tools > /dev/null
  say "redis-tools installed"
}

redis_start() {
  local port program; port=$(redis_port "$1") program=$(redis_program)
  case $1 in sentinel-*) sentinel_configure "$port"; exec -a redis-sentinel "$program" "$RUN/$1/sentinel.conf" --sentinel ;; esac
  # The configuration is a file, because Sentinel and failovers write into it who is whose replica.
  if [ ! -e "$RUN/$1/redis.conf" ]; then
    printf '%s\n' "port $port" "bind $HOST" "dir $RUN/$1" 'save ""' "appendonly $AOF" 'appendfsync everysec' \
      'protected-mode no' 'repl-diskless-sync-delay 0' "replica-announce-ip $HOST" > "$RUN/$1/redis.conf"
    [ "$1" = redis ] || echo "replicaof $HOST $BASE" >> "$RUN/$1/redis.conf"
  fi
  exec -a redis-server "$program" "$RUN/$1/redis.conf"
}

sentinel_configure() {
  [ -e sentinel.conf ] || printf '%s\n' "port $1" "bind $HOST" 'protected-mode no' \
    "sentinel monitor throng $HOST $BASE 2" 'sentinel down-after-milliseconds throng 1000' \
    'sentinel failover-timeout throng 5000' 'sentinel parallel-syncs throng 1' > sentinel.conf
}

redis_ready() { [ "$(redis_ask "$1" PING)" = +PONG ]; }

redis_env() {
  case $1 in
    redis) set_env REDIS_URL "redis://$HOST:$BASE/" ;;
    sentinel-1) set_env REDIS_SENTINELS "$HOST:$((BASE + 7)),$HOST:$((BASE + 8)),$HOST:$((BASE + 9))" ;;
  esac
}

# A command by the inline protocol, and the third line of its answer, or what it has instead.
redis_ask() {
  local to line answer=; to=$(redis_port "$1"); shift
  exec 4<> "/dev/tcp/$HOST/$to" && echo "$*" >&4 || return 1
  for _ in 1 2 3; do
    IFS= read -r -t 5 line <&4 || break
    answer=${line%$'\r'}
    # Arrays and texts announce their length; anything else is the whole answer.
    case $answer in [*$]*) ;; *) break ;; esac
  done
  exec 4>&-
  echo "$answer"
}

# Which of the two is the primary: what Sentinel says, where there is one. The old one believes it still is for some
# seconds after it has come back.
redis_primary() {
  local name port
  for name in sentinel-1 sentinel-2 sentinel-3; do
    runs "$name" || continue
    port=$(sentinel_says "$name")
    if [ "$port" = "$BASE" ]; then echo redis; else echo redis-replica; fi
    return
  done
  echo redis
}

sentinel_says() {
  exec 4<> "/dev/tcp/$HOST/$(redis_port "$1")" && echo 'SENTINEL get-master-addr-by-name throng' >&4
  local line; for _ in 1 2 3 4 5; do IFS= read -r -t 5 line <&4 || break; done; exec 4>&-
  echo "${line%$'\r'}"
}
