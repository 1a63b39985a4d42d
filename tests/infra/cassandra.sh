# Cassandra, one node: it stands in for Scylla, which speaks the same protocol. Commits are synced in groups before they
# are acknowledged, so what it has said is stored survives a SIGKILL.

cassandra_install() { fetch_jars; }

cassandra_start() {
  mkdir -p tmp
  cassandra_configuration > cassandra.yaml
  cat > logback.xml <<'LOG'
<configuration><appender name="O" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%-5level %date{HH:mm:ss.SSS} %logger{20} %msg%n</pattern></encoder></appender><root level="INFO"><appender-ref ref="O"/></root></configuration>
LOG
  exec $JAVA $JVM @"$here/cassandra.jvm17.args" -Xms256m -Xmx1g -XX:MaxDirectMemorySize=512m \
    "$(class_archive cassandra)" -Dcassandra.config="file://$PWD/cassandra.yaml" -Dcassandra.storagedir="$PWD" \
    -Dcassandra.triggers_dir="$PWD/tmp" -Dlogback.configurationFile="file://$PWD/logback.xml" -Djava.io.tmpdir="$PWD/tmp" \
    -Dcassandra-foreground=yes -Dcassandra.skip_wait_for_gossip_to_settle=0 \
    -Dcassandra.ring_delay_ms=1 -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.initial_token=0 \
    -cp "$LIB/cassandra/*" org.apache.cassandra.service.CassandraDaemon
}

cassandra_ready() { listens $((BASE + 3)); }
cassandra_env() { set_env CQL "$HOST:$((BASE + 3))"; }

cassandra_configuration() {
  cat <<YAML
cluster_name: throng
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "$HOST:$((BASE + 4))"}]}]
listen_address: $HOST
rpc_address: $HOST
storage_port: $((BASE + 4))
ssl_storage_port: $((BASE + 5))
native_transport_port: $((BASE + 3))
endpoint_snitch: SimpleSnitch
commitlog_sync: group
commitlog_sync_group_window: 2ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
data_file_directories: [$PWD/data]
commitlog_directory: $PWD/commitlog
hints_directory: $PWD/hints
saved_caches_directory: $PWD/caches
cdc_raw_directory: $PWD/cdc
auto_snapshot: false
materialized_views_enabled: false
concurrent_compactors: 1
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
key_cache_size: 8MiB
YAML
}
