#!/bin/sh
# One Redis or Sentinel of compose.sentinel.yaml, in a container of the name NAME:
#   redis-node.sh data NAME PRIMARY     NAME is the first primary, or a replica of PRIMARY
#   redis-node.sh sentinel NAME PRIMARY
# Its configuration is made once, in its volume: Redis and Sentinel then keep in it who the primary
# is. A replica whose place in the world came from its command line would follow, after a restart of
# all, a primary that had been replaced, and forget what was written since.
set -eu
kind=$1 name=$2 primary=$3
cd "${REDIS_FOLDER:-/data}"

data_config() {
  # By name: a container's address changes when it is made anew.
  printf '%s\n' "dir $PWD" 'protected-mode no' 'appendonly yes' 'appendfsync always' \
    "replica-announce-ip $name" 'maxmemory-policy noeviction'
  if [ "$name" != "$primary" ]; then printf '%s\n' "replicaof $primary 6379"; fi
}

sentinel_config() {
  printf '%s\n' "dir $PWD" 'port 26379' 'protected-mode no' 'sentinel resolve-hostnames yes' \
    'sentinel announce-hostnames yes' "sentinel announce-ip $name" \
    "sentinel monitor cache $primary 6379 2" 'sentinel down-after-milliseconds cache 2000' \
    'sentinel failover-timeout cache 10000'
}

config=$kind.conf
if [ ! -s "$config" ]; then
  # A Sentinel does not start before it can look up its primary's name.
  if [ "$kind" = sentinel ]; then
    until redis-cli -h "$primary" ping >/dev/null 2>&1; do sleep 1; done
  fi
  "${kind}_config" >"$config.new"
  mv "$config.new" "$config"
fi
if [ "$kind" = sentinel ]; then exec redis-server "$config" --sentinel; fi
exec redis-server "$config"
